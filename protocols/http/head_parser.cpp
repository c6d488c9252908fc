#include "head_parser.h"

#include <llhttp.h>

#include <algorithm>
#include <new>
#include <optional>

namespace Workerman::Protocols::Http::detail {
namespace {

using Connection::equalNoCase;
using Connection::HeaderList;

constexpr std::string_view kSpace = " \t";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

bool allDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// A control character other than the tab: CR and NUL are the dangerous ones.
bool isControlCharacter(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
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
  HeaderList headers;
  std::string_view target;
  std::string_view reason;
  std::string_view name;
  std::string_view value;
  bool complete = false;
  bool tooMany = false;
  bool outOfMemory = false;

  static Run& of(llhttp_t* parser) { return *static_cast<Run*>(parser->data); }
};

void extend(std::string_view& view, const char* at, std::size_t size) noexcept {
  view = view.empty() ? std::string_view(at, size) : std::string_view(view.data(), view.size() + size);
}

int endField(llhttp_t* parser) noexcept {
  Run& run = Run::of(parser);
  run.tooMany = run.headers.size() >= run.limits->maxFields;
  if (run.tooMany) return -1;
  try {
    run.headers.add(run.name, trimmed(run.value));
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

std::optional<HeadRejected> execute(Run& run, llhttp_type_t type, std::string_view head,
                                    const HeadLimits& limits) {
  static const llhttp_settings_t settings = makeSettings();
  llhttp_init(&run.parser, type, &settings);
  run.parser.data = &run;
  run.limits = &limits;
  llhttp_execute(&run.parser, head.data(), head.size());
  if (!run.complete || run.outOfMemory) return whyRefused(run, head);
  return std::nullopt;
}

// -- what llhttp lets pass --------------------------------------------------------

/// The header lines as they were sent: no folding, no space before the colon, no control characters.
const char* judgeLines(std::string_view head) {
  head.remove_suffix(2);
  for (std::size_t at = head.find('\n') + 1; at < head.size();) {
    const std::size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (kSpace.find(line[0]) != std::string_view::npos) return "a header line is folded";
    if (colon == std::string_view::npos) return "a header line has no colon";
    const std::string_view name = line.substr(0, colon);
    if (!name.empty() && kSpace.find(name.back()) != std::string_view::npos)
      return "white space before a header's colon";
    if (!Connection::isSafeHeaderName(name)) return "a header's name is not a token";
    if (std::any_of(line.begin(), line.end(), isControlCharacter)) return "a control character in a header";
    at = end + 2;
  }
  return nullptr;
}

/// The headers that tell where a body ends. Two readings of them are how requests are smuggled.
const char* judgeFraming(const HeaderList& headers, bool oldVersion) {
  const std::size_t lengths = headers.count("Content-Length");
  const std::size_t encodings = headers.count("Transfer-Encoding");
  if (lengths > 1) return "more than one Content-Length";
  if (lengths == 1 && !allDigits(*headers.get("Content-Length"))) return "Content-Length is not a number";
  if (lengths != 0 && encodings != 0) return "both Content-Length and Transfer-Encoding";
  if (encodings == 0) return nullptr;
  if (oldVersion) return "Transfer-Encoding in HTTP/1.0";
  if (encodings > 1) return "more than one Transfer-Encoding";
  return equalNoCase(*headers.get("Transfer-Encoding"), "chunked") ? nullptr
                                                                   : "Transfer-Encoding is not chunked";
}

bool isHostCharacter(char c) {
  const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return alphanumeric || std::string_view("-._~%!$&'()*+,;=").find(c) != std::string_view::npos;
}

/// host [":" port], the host a name, an IPv4 address or an IPv6 address in brackets.
bool isHost(std::string_view text) {
  const bool bracketed = !text.empty() && text.front() == '[';
  const std::size_t hostEnd = bracketed ? text.find(']') : text.find(':');
  if (bracketed && (hostEnd == std::string_view::npos || hostEnd == 1)) return false;
  std::string_view host = text.substr(bracketed ? 1 : 0, bracketed ? hostEnd - 1 : hostEnd);
  std::string_view port =
      hostEnd == std::string_view::npos ? std::string_view() : text.substr(hostEnd + bracketed);
  if (host.empty()) return false;
  const auto allowed = [bracketed](char c) { return isHostCharacter(c) || (bracketed && c == ':'); };
  if (!std::all_of(host.begin(), host.end(), allowed)) return false;
  if (port.empty()) return true;
  port.remove_prefix(1);
  return text[text.size() - port.size() - 1] == ':' &&
         (port.empty() || (allDigits(port) && port.size() <= 5));
}

const char* judgeHost(const RequestHead& head) {
  const std::size_t hosts = head.headers.count("Host");
  if (hosts > 1) return "more than one Host";
  if (hosts == 0) return head.version == "1.0" ? nullptr : "no Host";
  return isHost(*head.headers.get("Host")) ? nullptr : "Host is not a host and port";
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
  const auto host = head.headers.get("Host");
  return host && equalNoCase(*host, authority) ? nullptr : "target and Host name different hosts";
}

std::string versionOf(const Run& run) {
  return std::to_string(run.parser.http_major) + "." + std::to_string(run.parser.http_minor);
}

bool isKnownVersion(const std::string& version) {
  return version == "1.1" || version == "1.0";
}

std::string_view firstLine(std::string_view head) {
  return head.substr(0, head.find("\r\n"));
}

std::optional<HeadRejected> judgeRequest(const RequestHead& head, std::string_view bytes) {
  if (!isKnownVersion(head.version)) return HeadRejected{505, "neither HTTP/1.1 nor HTTP/1.0"};
  // llhttp reads over doubled spaces; the line must be exactly this.
  if (firstLine(bytes) != head.method + " " + head.target + " HTTP/" + head.version) {
    return HeadRejected{400, "malformed request line"};
  }
  if (head.method == "CONNECT") return HeadRejected{405, "CONNECT is for proxies"};
  const char* cause = judgeLines(bytes);
  if (cause == nullptr) cause = judgeHost(head);
  if (cause == nullptr) cause = judgeTarget(head);
  if (cause == nullptr) cause = judgeFraming(head.headers, head.version == "1.0");
  return cause == nullptr ? std::nullopt : std::optional(HeadRejected{400, cause});
}

std::optional<HeadRejected> judgeResponse(const ResponseHead& head, std::string_view bytes) {
  if (!isKnownVersion(head.version)) return HeadRejected{400, "the answer is not HTTP/1.x"};
  const std::string line = "HTTP/" + head.version + " " + std::to_string(head.status);
  const std::string_view sent = firstLine(bytes);
  const bool exact = sent == line + " " + head.reason || (head.reason.empty() && sent == line);
  if (!exact || head.status < 100 || head.status > 599 ||
      std::any_of(sent.begin(), sent.end(), isControlCharacter)) {
    return HeadRejected{400, "malformed status line"};
  }
  const char* cause = judgeLines(bytes);
  if (cause == nullptr && head.headers.count("Content-Length") > 1) cause = "more than one Content-Length";
  return cause == nullptr ? std::nullopt : std::optional(HeadRejected{400, cause});
}

}  // namespace

RequestResult parseRequestHead(std::string_view bytes, const HeadLimits& limits, std::size_t scanned) {
  if (scanned == 0 && !bytes.empty() && !Connection::isToken(bytes.substr(0, 1)) && bytes[0] != '\r') {
    return HeadRejected{400, "not an HTTP request"};
  }
  const End end = findEnd(bytes, limits, scanned);
  if (end.rejected) return *end.rejected;
  if (end.size == 0) return HeadIncomplete{bytes.size()};
  bytes = bytes.substr(0, end.size);

  Run run;
  if (const auto rejected = execute(run, HTTP_REQUEST, bytes, limits)) {
    // What llhttp stumbled over may have a clearer name.
    const char* cause = rejected->status == 400 ? judgeLines(bytes) : nullptr;
    return cause == nullptr ? *rejected : HeadRejected{400, cause};
  }
  RequestHead head;
  head.method = llhttp_method_name(static_cast<llhttp_method_t>(run.parser.method));
  head.target = run.target;
  head.version = versionOf(run);
  head.headers = std::move(run.headers);
  head.consumed = bytes.size();
  if (const auto rejected = judgeRequest(head, bytes)) return *rejected;
  return head;
}

ResponseResult parseResponseHead(std::string_view bytes, const HeadLimits& limits, std::size_t scanned) {
  constexpr std::string_view kBeginning = "HTTP/1.";
  const std::size_t compared = std::min(bytes.size(), kBeginning.size());
  if (bytes.substr(0, compared) != kBeginning.substr(0, compared)) {
    return HeadRejected{400, "the answer is not HTTP/1.x"};
  }
  const End end = findEnd(bytes, limits, scanned);
  if (end.rejected) return *end.rejected;
  if (end.size == 0) return HeadIncomplete{bytes.size()};
  bytes = bytes.substr(0, end.size);

  Run run;
  if (const auto rejected = execute(run, HTTP_RESPONSE, bytes, limits)) {
    const char* cause = rejected->status == 400 ? judgeLines(bytes) : nullptr;
    return cause == nullptr ? *rejected : HeadRejected{400, cause};
  }
  ResponseHead head;
  head.version = versionOf(run);
  head.status = run.parser.status_code;
  head.reason = run.reason;
  head.headers = std::move(run.headers);
  head.consumed = bytes.size();
  if (const auto rejected = judgeResponse(head, bytes)) return *rejected;
  return head;
}

}  // namespace Workerman::Protocols::Http::detail
