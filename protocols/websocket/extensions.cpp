#include "extensions.h"

#include <algorithm>
#include <stdexcept>

#include "../../connection/characters.h"

namespace Workerman::Protocols::detail {
namespace {

constexpr std::string_view kDeflate = "permessage-deflate";
constexpr std::string_view kServerNoContext = "server_no_context_takeover";
constexpr std::string_view kClientNoContext = "client_no_context_takeover";
constexpr std::string_view kServerBits = "server_max_window_bits";
constexpr std::string_view kClientBits = "client_max_window_bits";

bool isTokenChar(char c) {
  return Connection::detail::isOf(c, Connection::detail::kTokenCharacter);
}

/// Reads the grammar of RFC 6455 section 9.1 off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) { skipSpace(); }

  bool atEnd() const { return text_.empty(); }
  /// Takes this character, and the space behind it, if it is next.
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    skipSpace();
    return true;
  }
  /// Empty if there is no token.
  std::string token() {
    const auto end = std::find_if_not(text_.begin(), text_.end(), isTokenChar);
    const std::string found(text_.begin(), end);
    text_.remove_prefix(found.size());
    skipSpace();
    return found;
  }
  /// A token or a quoted string that holds one; empty if there is neither.
  std::string value() { return text_.starts_with('"') ? quoted() : token(); }

 private:
  std::string quoted() {
    std::string found;
    for (std::size_t i = 1; i < text_.size(); ++i) {
      if (text_[i] == '"') {
        text_.remove_prefix(i + 1);
        skipSpace();
        return found;
      }
      if (text_[i] == '\\') ++i;
      if (i >= text_.size() || !isTokenChar(text_[i])) return {};
      found += text_[i];
    }
    return {};
  }
  void skipSpace() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t"), text_.size())); }

  std::string_view text_;
};

bool parseOne(Scanner& in, Extension& extension) {
  extension.name = in.token();
  if (extension.name.empty()) return false;
  while (in.take(';')) {
    Extension::Parameter parameter{in.token(), std::nullopt};
    if (parameter.name.empty()) return false;
    if (in.take('=')) {
      parameter.value = in.value();
      if (parameter.value->empty()) return false;
    }
    extension.parameters.push_back(std::move(parameter));
  }
  return true;
}

bool parseInto(std::vector<Extension>& list, std::string_view value) {
  Scanner in(value);
  while (!in.atEnd()) {
    if (in.take(',')) continue;
    if (!parseOne(in, list.emplace_back())) return false;
    if (!in.atEnd() && !in.take(',')) return false;
  }
  return true;
}

/// "8" to "15", without leading zeros; 0 for anything else. @see RFC 7692 section 7.1.2.1
std::uint8_t windowBits(const std::string& text) {
  if (text.size() == 1 && text[0] >= '8' && text[0] <= '9') return static_cast<std::uint8_t>(text[0] - '0');
  if (text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5') {
    return static_cast<std::uint8_t>(10 + text[1] - '0');
  }
  return 0;
}

/// The parameters of one permessage-deflate, each with a legal name and value and given once.
struct Parameters {
  bool serverNoContext = false;
  bool clientNoContext = false;
  bool clientBitsGiven = false;
  std::uint8_t serverBits = 0;  ///< 0: not given
  std::uint8_t clientBits = 0;  ///< 0: not given, or without a value
};

/// What is wrong with a parameter; empty when it is stored in `all`. Only an offer may give
/// client_max_window_bits without a value.
std::string readParameter(const Extension::Parameter& parameter, bool isOffer, Parameters& all) {
  const auto isGivenTwice = [&] { return parameter.name + " is given twice"; };
  const auto isBad = [&] { return parameter.name + " has a bad value"; };
  const std::uint8_t bits = parameter.value ? windowBits(*parameter.value) : std::uint8_t{0};
  if (parameter.name == kServerNoContext || parameter.name == kClientNoContext) {
    bool& given = parameter.name == kServerNoContext ? all.serverNoContext : all.clientNoContext;
    if (given) return isGivenTwice();
    if (parameter.value) return isBad();
    given = true;
  } else if (parameter.name == kServerBits) {
    if (all.serverBits != 0) return isGivenTwice();
    if (bits == 0) return isBad();
    all.serverBits = bits;
  } else if (parameter.name == kClientBits) {
    if (all.clientBitsGiven) return isGivenTwice();
    if (bits == 0 && (parameter.value || !isOffer)) return isBad();
    all.clientBitsGiven = true;
    all.clientBits = bits;
  } else {
    return "the parameter " + parameter.name + " does not exist";
  }
  return {};
}

std::string readParameters(const Extension& extension, bool isOffer, Parameters& all) {
  for (const auto& parameter : extension.parameters) {
    if (auto error = readParameter(parameter, isOffer, all); !error.empty()) return error;
  }
  return {};
}

void requireValid(const DeflateOptions& options) {
  const auto isValid = [](int bits) { return bits >= 8 && bits <= 15; };
  if (!isValid(options.serverMaxWindowBits) || !isValid(options.clientMaxWindowBits)) {
    throw std::invalid_argument("permessage-deflate: window bits are 8 to 15");
  }
}

std::uint8_t smaller(std::uint8_t theirs, int ours) {
  return theirs == 0 ? static_cast<std::uint8_t>(ours) : std::min(theirs, static_cast<std::uint8_t>(ours));
}

void addFlag(std::string& out, std::string_view name, bool isSet) {
  if (isSet) out.append("; ").append(name);
}

void addBits(std::string& out, std::string_view name, int bits) {
  out.append("; ").append(name).append("=").append(std::to_string(bits));
}

/// Answers one offer, whose parameters are legal.
AcceptedDeflate accept(const Parameters& offer, const DeflateOptions& options) {
  AcceptedDeflate accepted{{}, std::string(kDeflate)};
  DeflateAgreement& agreed = accepted.agreed;
  agreed.serverNoContextTakeover = offer.serverNoContext || options.serverNoContextTakeover;
  agreed.clientNoContextTakeover = offer.clientNoContext || options.clientNoContextTakeover;
  agreed.serverMaxWindowBits = smaller(offer.serverBits, options.serverMaxWindowBits);
  if (offer.clientBitsGiven)
    agreed.clientMaxWindowBits = smaller(offer.clientBits, options.clientMaxWindowBits);

  addFlag(accepted.answer, kServerNoContext, agreed.serverNoContextTakeover);
  addFlag(accepted.answer, kClientNoContext, agreed.clientNoContextTakeover);
  if (offer.serverBits != 0 || agreed.serverMaxWindowBits != 15) {
    addBits(accepted.answer, kServerBits, agreed.serverMaxWindowBits);
  }
  // Never to a client that did not offer it (RFC 7692 section 7.1.2.2).
  if (offer.clientBits != 0 || agreed.clientMaxWindowBits != 15) {
    addBits(accepted.answer, kClientBits, agreed.clientMaxWindowBits);
  }
  return accepted;
}

/// What keeps the client from working as its server has answered.
std::string judgeAnswer(const Parameters& answer, const DeflateOptions& options) {
  if (options.serverNoContextTakeover && !answer.serverNoContext) {
    return std::string(kServerNoContext) + " was offered and is not accepted";
  }
  if (options.serverMaxWindowBits < 15 && answer.serverBits == 0) {
    return std::string(kServerBits) + " was offered and is not accepted";
  }
  if (answer.serverBits > options.serverMaxWindowBits)
    return std::string(kServerBits) + " is more than was offered";
  if (answer.clientBits > options.clientMaxWindowBits)
    return std::string(kClientBits) + " is more than was offered";
  return {};
}

}  // namespace

std::optional<std::vector<Extension>> parseExtensions(std::string_view value) {
  std::vector<Extension> list;
  if (!parseInto(list, value)) return std::nullopt;
  return list;
}

std::optional<std::vector<Extension>> parseExtensions(const Http::detail::FieldList& headers) {
  std::vector<Extension> list;
  const auto isMalformed = [&list](std::string_view value) { return !parseInto(list, value); };
  if (headers.any(Http::detail::FieldName::SecWebSocketExtensions, isMalformed)) return std::nullopt;
  return list;
}

std::string offerDeflate(const DeflateOptions& options) {
  requireValid(options);
  std::string offer(kDeflate);
  addFlag(offer, kServerNoContext, options.serverNoContextTakeover);
  addFlag(offer, kClientNoContext, options.clientNoContextTakeover);
  if (options.serverMaxWindowBits != 15) addBits(offer, kServerBits, options.serverMaxWindowBits);
  // Always offered, so that the server may ask for less.
  addFlag(offer, kClientBits, options.clientMaxWindowBits == 15);
  if (options.clientMaxWindowBits != 15) addBits(offer, kClientBits, options.clientMaxWindowBits);
  return offer;
}

std::optional<AcceptedDeflate> acceptDeflate(const std::vector<Extension>& offers,
                                             const DeflateOptions& options) {
  requireValid(options);
  for (const auto& offer : offers) {
    Parameters parameters;
    if (offer.name != kDeflate || !readParameters(offer, true, parameters).empty()) continue;
    return accept(parameters, options);
  }
  return std::nullopt;
}

DeflateAnswer readDeflateAnswer(const std::vector<Extension>& answer, const DeflateOptions& options) {
  const auto wrong = [](std::string cause) {
    return DeflateAnswer{{}, "permessage-deflate: " + std::move(cause)};
  };
  const auto isDeflate = [](const Extension& one) { return one.name == kDeflate; };
  const auto accepted = std::find_if(answer.begin(), answer.end(), isDeflate);
  if (accepted == answer.end()) return {};
  if (std::any_of(accepted + 1, answer.end(), isDeflate)) return wrong("the server accepts it twice");
  Parameters parameters;
  if (auto error = readParameters(*accepted, false, parameters); !error.empty())
    return wrong(std::move(error));
  if (auto error = judgeAnswer(parameters, options); !error.empty()) return wrong(std::move(error));
  DeflateAgreement agreed;
  agreed.serverNoContextTakeover = parameters.serverNoContext;
  // As a hint, what a client offers binds it without being accepted (RFC 7692 sections 7.1.1.2 and 7.1.2.2).
  agreed.clientNoContextTakeover = parameters.clientNoContext || options.clientNoContextTakeover;
  agreed.serverMaxWindowBits = smaller(parameters.serverBits, 15);
  agreed.clientMaxWindowBits = smaller(parameters.clientBits, options.clientMaxWindowBits);
  return {agreed, {}};
}

}  // namespace Workerman::Protocols::detail
