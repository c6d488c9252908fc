#pragma once

#include <exception>
#include <string>
#include <utility>

namespace Workerman::detail {

/// Stands for something thrown that is no std::exception; what() is the text
/// if a string was thrown.
class ForeignException : public std::exception {
 public:
  explicit ForeignException(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

/// Inside a catch block: calls `handler(const std::exception&)` with what was
/// thrown, wrapped in a ForeignException where needed.
template <class Handler>
void withCurrentException(Handler&& handler) {
  try {
    throw;
  } catch (const std::exception& e) {
    handler(e);
  } catch (const std::string& text) {
    handler(ForeignException(text));
  } catch (const char* text) {
    handler(ForeignException(text ? text : ""));
  } catch (...) {
    handler(ForeignException("something that is no std::exception"));
  }
}

/// "std::runtime_error: its text", for logs.
std::string describe(const std::exception& exception);

}  // namespace Workerman::detail
