#pragma once

/// Cells of a table of text (internal, pure).

#include <string>
#include <string_view>

namespace Workerman::detail {

/// The columns that UTF-8 text takes in a terminal: two for East Asian wide
/// characters and emoji, one for any other, and for each byte that is no UTF-8.
std::size_t displayWidth(std::string_view text);

/// With spaces up to `width` columns, control characters as '?'. Longer text
/// stays whole.
std::string padded(std::string_view text, std::size_t width);

/// What takes more than `width` columns is cut two short, and ends in "..".
std::string shortened(std::string_view text, std::size_t width);

/// With at most `decimals` of them, none for nothing: "1.5", "2".
std::string rounded(double number, int decimals);

}  // namespace Workerman::detail
