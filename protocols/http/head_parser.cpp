#include "head_parser.h"

#include <llhttp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>

#include "../../connection/characters.h"

namespace Workerman::Protocols::Http::detail {
namespace {

using namespace Connection::detail;
using Connection::equalNoCase;

constexpr bool isSpace(char c) {
  return c == ' ' || c == '\t';
}

bool allDigits(std::string_view text) {
  return !text.empty() && allOf(text, kDigit);
}

/// Whether eight characters may have one that no value may hold; never no if they have.
inline bool seemsUnclean(const char* text) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  std::uint64_t word = 0;
  std::memcpy(&word, text, sizeof word);
  // The top bit of each byte: whether it is below the space, or DEL.
  const std::uint64_t isLow = (word - kEach * 0x20) & ~word;
  const std::uint64_t noDel = word ^ kEach * 0x7F;
  const std::uint64_t isDel = (noDel - kEach) & ~noDel;
  return ((isLow | isDel) & kEach * 0x80) != 0;
}

/// Whether a value has none of the characters that it may not hold: CR and NUL are the dangerous ones.
bool isCleanValue(std::string_view value) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  bool isSuspect = value.size() < kWord;
  if (!isSuspect) {
    for (std::size_t at = 0; at + kWord <= value.size(); at += kWord) isSuspect |= seemsUnclean(&value[at]);
    // The last eight, some of them for the second time.
    isSuspect |= seemsUnclean(&value[value.size() - kWord]);
  }
  return !isSuspect || std::none_of(value.begin(), value.end(), isForbiddenInValue);
}

// -- where the head ends --------------------------------------------------------

struct End {
  std::size_t size = 0;  // of the whole head; 0 while its end has not come
  std::optional<HeadRejected> rejected;
};

/// Looks for the empty line, from `scanned` on.
End findEnd(std::string_view bytes, const HeadLimits& limits, std::size_t scanned) {
  const std::string_view window = bytes.substr(0, limits.maxBytes);
  for (std::size_t at = scanned; (at = window.find('\n', at)) != std::string_view::npos; ++at) {
    if (at == 0 || window[at - 1] != '\r')
      return {0, HeadRejected{400, "a line ends without a carriage return"}};
    if (at == 1) return {0, HeadRejected{400, "the head begins with an empty line"}};
    if (at >= 3 && window[at - 3] == '\r' && window[at - 2] == '\n') return {at + 1, std::nullopt};
  }
  if (bytes.size() < limits.maxBytes) return {};
  const bool lineEnds = window.find('\n') != std::string_view::npos;
  return {0, HeadRejected{lineEnds ? 431 : 414,
                          lineEnds ? "the head is too long" : "the first line is too long"}};
}

// -- llhttp ---------------------------------------------------------------------

/// One run of llhttp over a complete head. Its callbacks store views: the head lies in one piece.
struct Run {
  llhttp_t parser;
  const HeadLimits* limits;
  FieldList* headers;
  /// Where the next header line has to begin, for llhttp and us to have read the same.
  const char* line;
  std::string_view target{};
  std::string_view reason{};
  std::string_view name{};
  std::string_view value{};
  bool complete = false;
  bool tooMany = false;
  bool outOfMemory = false;
  /// A line is not exactly a name, a colon and a value.
  bool isOdd = false;

  static Run& of(llhttp_t* parser) { return *static_cast<Run*>(parser->data); }
};

void extend(std::string_view& view, const char* at, std::size_t size) noexcept {
  view = view.empty() ? std::string_view(at, size) : std::string_view(view.data(), view.size() + size);
}

/// Takes the white space around llhttp's value off, and moves on to the next line. False: this one is odd.
bool takeLine(Run& run) noexcept {
  // The head ends with CR and LF, which stop each of these.
  const char* at = run.line;
  if (run.name.data() != at || !Connection::isToken(run.name)) return false;
  at += run.name.size();
  if (*at++ != ':') return false;
  while (isSpace(*at)) ++at;
  while (!run.value.empty() && isSpace(run.value.front())) run.value.remove_prefix(1);
  while (!run.value.empty() && isSpace(run.value.back())) run.value.remove_suffix(1);
  if (!run.value.empty()) {
    if (run.value.data() != at || !isCleanValue(run.value)) return false;
    at += run.value.size();
    while (isSpace(*at)) ++at;
  }
  run.line = at + 2;
  return at[0] == '\r' && at[1] == '\n';
}

int endField(llhttp_t* parser) noexcept {
  Run& run = Run::of(parser);
  run.tooMany = run.headers->size() >= run.limits->maxFields;
  if (run.tooMany) return -1;
  // What is odd goes on: llhttp may have a graver objection.
  if (run.isOdd || !takeLine(run)) {
    run.isOdd = true;
    run.name = run.value = {};
    return 0;
  }
  try {
    run.headers->add(run.name, run.value);
  } catch (...) {
    run.outOfMemory = true;
    return -1;
  }
  run.name = run.value = {};
  return 0;
}

llhttp_settings_t makeSettings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_url = [](llhttp_t* p, const char* at, size_t size) noexcept {
    return extend(Run::of(p).target, at, size), 0;
  };
  settings.on_status = [](llhttp_t* p, const char* at, size_t size) noexcept {
    return extend(Run::of(p).reason, at, size), 0;
  };
  settings.on_header_field = [](llhttp_t* p, const char* at, size_t size) noexcept {
    return extend(Run::of(p).name, at, size), 0;
  };
  settings.on_header_value = [](llhttp_t* p, const char* at, size_t size) noexcept {
    return extend(Run::of(p).value, at, size), 0;
  };
  settings.on_header_value_complete = [](llhttp_t* p) noexcept { return endField(p); };
  settings.on_headers_complete = [](llhttp_t* p) noexcept { return Run::of(p).complete = true, 0; };
  return settings;
}

HeadRejected whyRefused(const Run& run, std::string_view head) {
  if (run.outOfMemory) throw std::bad_alloc();
  if (run.tooMany) return {431, "too many header fields"};
  if (llhttp_get_errno(&run.parser) == HPE_INVALID_METHOD) {
    const bool token = Connection::isToken(head.substr(0, head.find(' ')));
    return {token ? 501 : 400, token ? "unknown method" : "malformed request line"};
  }
  const char* reason = llhttp_get_error_reason(&run.parser);
  return {400, reason != nullptr && *reason != '\0' ? reason : "malformed head"};
}

/// @param head complete, its first line within `limits`
std::optional<HeadRejected> execute(Run& run, llhttp_type_t type, std::string_view head) {
  static const llhttp_settings_t settings = makeSettings();
  llhttp_init(&run.parser, type, &settings);
  run.parser.data = &run;
  run.headers->reset(head.data());
  llhttp_execute(&run.parser, head.data(), head.size());
  if (!run.complete || run.outOfMemory) return whyRefused(run, head);
  if (run.line != head.data() + head.size() - 2) run.isOdd = true;
  return std::nullopt;
}

// -- what llhttp lets pass --------------------------------------------------------

/// What is wrong with the header lines as they were sent: folding, a space before the colon, a control
/// character. Nothing if there is none of these.
const char* judgeLines(std::string_view head) {
  head.remove_suffix(2);
  for (std::size_t at = head.find('\n') + 1; at < head.size();) {
    const std::size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (isSpace(line[0])) return "a header line is folded";
    if (colon == std::string_view::npos) return "a header line has no colon";
    const std::string_view name = line.substr(0, colon);
    if (!name.empty() && isSpace(name.back())) return "white space before a header's colon";
    if (!Connection::isSafeHeaderName(name)) return "a header's name is not a token";
    if (std::any_of(line.begin(), line.end(), isForbiddenInValue)) return "a control character in a header";
    at = end + 2;
  }
  return nullptr;
}

const char* judgeOddLines(const Run& run, std::string_view head) {
  if (!run.isOdd) return nullptr;
  const char* cause = judgeLines(head);
  return cause != nullptr ? cause : "malformed header line";
}

/// The headers that tell where a body ends. Two readings of them are how requests are smuggled.
const char* judgeFraming(const FieldList& headers, bool oldVersion) {
  const std::size_t lengths = headers.count(FieldName::ContentLength);
  const std::size_t encodings = headers.count(FieldName::TransferEncoding);
  if (lengths > 1) return "more than one Content-Length";
  if (lengths == 1 && !allDigits(*headers.get(FieldName::ContentLength)))
    return "Content-Length is not a number";
  if (lengths != 0 && encodings != 0) return "both Content-Length and Transfer-Encoding";
  if (encodings == 0) return nullptr;
  if (oldVersion) return "Transfer-Encoding in HTTP/1.0";
  if (encodings > 1) return "more than one Transfer-Encoding";
  return equalNoCase(*headers.get(FieldName::TransferEncoding), "chunked")
             ? nullptr
             : "Transfer-Encoding is not chunked";
}

const char* judgeHost(const RequestHead& head) {
  const std::size_t hosts = head.headers.count(FieldName::Host);
  if (hosts > 1) return "more than one Host";
  if (hosts == 0) return head.version == "1.0" ? nullptr : "no Host";
  return isHostAndPort(*head.headers.get(FieldName::Host)) ? nullptr : "Host is not a host and port";
}

/// origin-form, `*` for OPTIONS, or an absolute URI of the host that `Host` names as well.
const char* judgeTarget(const RequestHead& head) {
  std::string_view target = head.target;
  if (target.starts_with('/')) return nullptr;
  if (target == "*") return head.method == "OPTIONS" ? nullptr : "target * is for OPTIONS only";
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return "malformed target";
  if (!equalNoCase(target.substr(0, scheme), "http") && !equalNoCase(target.substr(0, scheme), "https")) {
    return "target of another scheme";
  }
  target.remove_prefix(scheme + 3);
  const std::string_view authority = target.substr(0, target.find_first_of("/?#"));
  const auto host = head.headers.get(FieldName::Host);
  return host && equalNoCase(*host, authority) ? nullptr : "target and Host name different hosts";
}

/// "1.1" or "1.0"; empty for any other.
std::string_view versionOf(const Run& run) {
  if (run.parser.http_major != 1 || run.parser.http_minor > 1) return {};
  return run.parser.http_minor == 1 ? "1.1" : "1.0";
}

/// llhttp reads over doubled spaces; the line must be exactly method, target and version.
bool isExactRequestLine(const RequestHead& head) {
  constexpr std::string_view kProtocol = " HTTP/";
  std::string_view rest = head.bytes;
  if (!rest.starts_with(head.method)) return false;
  rest.remove_prefix(head.method.size());
  if (rest.front() != ' ' || rest.data() + 1 != head.target.data()) return false;
  rest.remove_prefix(1 + head.target.size());
  if (!rest.starts_with(kProtocol)) return false;
  rest.remove_prefix(kProtocol.size());
  return rest.starts_with(head.version) && rest.substr(head.version.size(), 2) == "\r\n";
}

std::optional<HeadRejected> judgeRequest(const RequestHead& head, const Run& run) {
  if (head.version.empty()) return HeadRejected{505, "neither HTTP/1.1 nor HTTP/1.0"};
  if (!isExactRequestLine(head)) return HeadRejected{400, "malformed request line"};
  if (head.method == "CONNECT") return HeadRejected{405, "CONNECT is for proxies"};
  const char* cause = judgeOddLines(run, head.bytes);
  if (cause == nullptr) cause = judgeHost(head);
  if (cause == nullptr) cause = judgeTarget(head);
  if (cause == nullptr) cause = judgeFraming(head.headers, head.version == "1.0");
  return cause == nullptr ? std::nullopt : std::optional(HeadRejected{400, cause});
}

bool isExactStatusLine(const ResponseHead& head, std::string_view line) {
  constexpr std::size_t kStatusAt = 9;  // behind "HTTP/1.1 "
  constexpr std::size_t kReasonAt = kStatusAt + 3;
  if (line.size() < kReasonAt || line.substr(5, 3) != head.version || line[kStatusAt - 1] != ' ')
    return false;
  if (head.status < 100 || head.status > 599 || !allDigits(line.substr(kStatusAt, 3))) return false;
  if (std::any_of(line.begin(), line.end(), isForbiddenInValue)) return false;
  if (line.size() == kReasonAt) return head.reason.empty();
  return line[kReasonAt] == ' ' && line.substr(kReasonAt + 1) == head.reason;
}

std::optional<HeadRejected> judgeResponse(const ResponseHead& head, const Run& run, std::string_view bytes) {
  if (head.version.empty()) return HeadRejected{400, "the answer is not HTTP/1.x"};
  if (!isExactStatusLine(head, bytes.substr(0, bytes.find("\r\n"))))
    return HeadRejected{400, "malformed status line"};
  const char* cause = judgeOddLines(run, bytes);
  if (cause == nullptr && head.headers.count(FieldName::ContentLength) > 1)
    cause = "more than one Content-Length";
  return cause == nullptr ? std::nullopt : std::optional(HeadRejected{400, cause});
}

/// What llhttp stumbled over may have a clearer name.
HeadRejected named(const HeadRejected& rejected, std::string_view head) {
  const char* cause = rejected.status == 400 ? judgeLines(head) : nullptr;
  return cause == nullptr ? rejected : HeadRejected{400, cause};
}

Run runOver(std::string_view head, const HeadLimits& limits, FieldList& headers) {
  return {.parser = {}, .limits = &limits, .headers = &headers, .line = head.data() + head.find('\n') + 1};
}

HeadLimits clamped(HeadLimits limits) {
  limits.maxBytes = std::min(limits.maxBytes, FieldList::kMostBytes);
  return limits;
}

}  // namespace

void RequestHead::rebase(const char* base) noexcept {
  const char* const former = bytes.data();
  method = {base + (method.data() - former), method.size()};
  target = {base + (target.data() - former), target.size()};
  bytes = {base, bytes.size()};
  headers.rebase(base);
}

RequestResult parseRequestHead(std::string_view bytes, const HeadLimits& asked, std::size_t scanned) {
  constexpr std::string_view kEmptyLine = "\r\n";
  const std::size_t skipped = bytes.starts_with(kEmptyLine) ? kEmptyLine.size() : 0;
  bytes.remove_prefix(skipped);
  scanned -= std::min(scanned, skipped);
  const bool mayBegin = bytes.empty() || isOf(bytes[0], kTokenCharacter) || bytes[0] == '\r';
  if (scanned == 0 && !mayBegin) return HeadRejected{400, "not an HTTP request"};
  const HeadLimits limits = clamped(asked);
  const End end = findEnd(bytes, limits, scanned);
  if (end.rejected) return *end.rejected;
  if (end.size == 0) return HeadIncomplete{skipped + bytes.size()};

  RequestResult result{std::in_place_type<RequestHead>};
  RequestHead& head = *std::get_if<RequestHead>(&result);
  head.bytes = bytes.substr(0, end.size);
  head.consumed = skipped + end.size;
  Run run = runOver(head.bytes, limits, head.headers);
  if (const auto rejected = execute(run, HTTP_REQUEST, head.bytes)) return named(*rejected, head.bytes);
  const char* const method = llhttp_method_name(static_cast<llhttp_method_t>(run.parser.method));
  head.method = head.bytes.substr(0, std::strlen(method));
  head.target = run.target;
  head.version = versionOf(run);
  if (head.method != method) return HeadRejected{400, "malformed request line"};
  if (const auto rejected = judgeRequest(head, run)) return *rejected;
  return result;
}

ResponseResult parseResponseHead(std::string_view bytes, const HeadLimits& asked, std::size_t scanned) {
  constexpr std::string_view kBeginning = "HTTP/1.";
  const std::size_t compared = std::min(bytes.size(), kBeginning.size());
  if (bytes.substr(0, compared) != kBeginning.substr(0, compared)) {
    return HeadRejected{400, "the answer is not HTTP/1.x"};
  }
  const HeadLimits limits = clamped(asked);
  const End end = findEnd(bytes, limits, scanned);
  if (end.rejected) return *end.rejected;
  if (end.size == 0) return HeadIncomplete{bytes.size()};
  bytes = bytes.substr(0, end.size);

  ResponseResult result{std::in_place_type<ResponseHead>};
  ResponseHead& head = *std::get_if<ResponseHead>(&result);
  Run run = runOver(bytes, limits, head.headers);
  if (const auto rejected = execute(run, HTTP_RESPONSE, bytes)) return named(*rejected, bytes);
  head.version = versionOf(run);
  head.status = run.parser.status_code;
  head.reason = run.reason;
  head.consumed = bytes.size();
  if (const auto rejected = judgeResponse(head, run, bytes)) return *rejected;
  return result;
}

bool isHostAndPort(std::string_view text) noexcept {
  const bool bracketed = !text.empty() && text.front() == '[';
  const std::size_t hostEnd = bracketed ? text.find(']') : text.find(':');
  if (bracketed && (hostEnd == std::string_view::npos || hostEnd == 1)) return false;
  const std::string_view host = text.substr(bracketed ? 1 : 0, bracketed ? hostEnd - 1 : hostEnd);
  std::string_view port =
      hostEnd == std::string_view::npos ? std::string_view() : text.substr(hostEnd + bracketed);
  if (host.empty()) return false;
  const auto allowed = [bracketed](char c) { return isOf(c, kHostCharacter) || (bracketed && c == ':'); };
  if (!std::all_of(host.begin(), host.end(), allowed)) return false;
  if (port.empty()) return true;
  if (port.front() != ':') return false;
  port.remove_prefix(1);
  return port.size() <= 5 && allOf(port, kDigit);
}

}  // namespace Workerman::Protocols::Http::detail
