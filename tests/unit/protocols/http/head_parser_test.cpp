#include "protocols/http/head_parser.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <variant>

#include "support/heads.h"

using namespace Workerman::Protocols::Http::detail;
using namespace std::string_literals;

namespace {

/// Parses like a connection: hands the growing bytes over in pieces of `step`, with the offset it was told.
template <class Result, class Parse>
Result growing(Parse parse, const std::string& bytes, std::size_t step) {
  std::size_t scanned = 0;
  for (std::size_t size = std::min(step, bytes.size());; size = std::min(size + step, bytes.size())) {
    // A copy, so that ASan sees a read past the end.
    const std::string& exact = testing::kept(bytes.substr(0, size));
    Result result = parse(exact, HeadLimits{}, scanned);
    const auto* incomplete = std::get_if<HeadIncomplete>(&result);
    if (incomplete == nullptr || size == bytes.size()) return result;
    scanned = incomplete->scanned;
  }
}

RequestResult request(const std::string& bytes, std::size_t step = 100000) {
  return growing<RequestResult>(parseRequestHead, bytes, step);
}
ResponseResult response(const std::string& bytes, std::size_t step = 100000) {
  return growing<ResponseResult>(parseResponseHead, bytes, step);
}

/// "" when accepted, "…" when incomplete, else status and cause.
template <class Result>
std::string verdict(const Result& result) {
  if (std::holds_alternative<HeadIncomplete>(result)) return "…";
  const auto* rejected = std::get_if<HeadRejected>(&result);
  return rejected == nullptr ? "" : std::to_string(rejected->status) + " " + rejected->cause;
}

const std::string kGet =
    "GET /chat?room=1 HTTP/1.1\r\nHost: example.com:8080\r\nUpgrade:websocket\r\nX-Empty:\r\n"
    "X-Spaced: \t a b \t\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n";

}  // namespace

TEST_CASE("request head: read whole, and at every cut of it") {
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{2}, std::size_t{7}, kGet.size() - 1, kGet.size(), kGet.size() + 9}) {
    const RequestResult result = request(kGet + "trailing bytes", step);
    REQUIRE(verdict(result) == "");
    const auto& head = std::get<RequestHead>(result);
    CHECK(head.method == "GET");
    CHECK(head.target == "/chat?room=1");
    CHECK(head.version == "1.1");
    CHECK(head.consumed == kGet.size());
    CHECK(head.headers.toList() == Workerman::Connection::HeaderList{{"Host", "example.com:8080"},
                                                                     {"Upgrade", "websocket"},
                                                                     {"X-Empty", ""},
                                                                     {"X-Spaced", "a b"},
                                                                     {"Cookie", "a=1"},
                                                                     {"Cookie", "b=2"}});
  }
  for (std::size_t size = 0; size < kGet.size(); ++size) CHECK(verdict(request(kGet.substr(0, size))) == "…");
}

TEST_CASE("response head: read whole, and at every cut of it") {
  const std::string bytes =
      "HTTP/1.1 101 Switching  Protocols\r\nServer: x/1.0\r\nupgrade: WebSocket\r\nConnection: "
      "Upgrade\r\n\r\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{5}, bytes.size()}) {
    const ResponseResult result = response(bytes + "\x81\x05hello", step);
    REQUIRE(verdict(result) == "");
    const auto& head = std::get<ResponseHead>(result);
    CHECK(head.version == "1.1");
    CHECK(head.status == 101);
    CHECK(head.reason == "Switching  Protocols");
    CHECK(head.consumed == bytes.size());
    CHECK(head.headers.size() == 3);
    CHECK(head.headers[1].first == "upgrade");
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(verdict(response(bytes.substr(0, size))) == "…");
}

TEST_CASE("response head: statuses and reasons") {
  for (const char* line : {"HTTP/1.1 200 OK", "HTTP/1.0 301 Moved Permanently", "HTTP/1.1 404 ",
                           "HTTP/1.1 500", "HTTP/1.1 299 h\xC3\xA9"}) {
    CAPTURE(line);
    CHECK(verdict(response(line + "\r\n\r\n"s)) == "");
    CHECK(verdict(response(line + "\r\nContent-Length: 5\r\n\r\nhello"s)) == "");
  }
  CHECK(std::get<ResponseHead>(response("HTTP/1.1 500\r\n\r\n")).reason.empty());
  CHECK(std::get<ResponseHead>(response("HTTP/1.0 301 Moved Permanently\r\n\r\n")).version == "1.0");
}

TEST_CASE("response head: what is no HTTP/1.x answer is refused at its first byte that shows it") {
  struct Case {
    std::string bytes;
    std::size_t enough;
  };
  for (const Case& one :
       {Case{"SSH-2.0-OpenSSH_9.2\r\n", 1}, Case{"HTTP/2 101 \r\n", 6}, Case{"\r\nHTTP/1.1 101 x", 1},
        Case{"\x16\x03\x01", 1}, Case{"HTTP1", 5}, Case{"http/1.1", 1}, Case{"ICY 200 OK", 1}}) {
    CAPTURE(one.bytes);
    for (std::size_t size = 0; size <= one.bytes.size(); ++size) {
      CHECK(verdict(response(one.bytes.substr(0, size))) ==
            (size < one.enough ? "…" : "400 the answer is not HTTP/1.x"));
    }
  }
}

TEST_CASE("response head: malformed status lines and headers are refused") {
  for (const char* line : {"HTTP/1.1 99 low", "HTTP/1.1 600 high", "HTTP/1.1 1010 long", "HTTP/1.1 x01 OK",
                           "HTTP/1.1  101 OK", "HTTP/1.1101 OK", "HTTP/1.7 101 OK", "HTTP/1.1\t101 OK",
                           "HTTP/1.1 101\tOK", "HTTP/1.1 -101 OK", "HTTP/1.1 101 a\x01z", "HTTP/1.1"}) {
    CAPTURE(line);
    CHECK(verdict(response(line + "\r\nA: b\r\n\r\n"s)).starts_with("400 "));
  }
  const auto withHeader = [](const std::string& lines) {
    return verdict(response("HTTP/1.1 200 OK\r\n" + lines + "\r\n\r\n"));
  };
  CHECK(withHeader("A: b\r\n c") == "400 a header line is folded");
  CHECK(withHeader("A : b") == "400 white space before a header's colon");
  CHECK(withHeader("A") == "400 a header line has no colon");
  CHECK(withHeader("A: b\rc") == "400 a control character in a header");
  CHECK(withHeader("A: b\nB: c") == "400 a line ends without a carriage return");
  CHECK(withHeader("Content-Length: 5\r\nContent-Length: 5").starts_with("400 "));
  CHECK(withHeader("Content-Length: -5").starts_with("400 "));
}

TEST_CASE(
    "request head: what llhttp lets pass and two programs may read in two ways is refused (traps: HTTP)") {
  struct Case {
    std::string lines;
    std::string expected;
  };
  const std::string host = "Host: a\r\n";
  const Case cases[] = {
      {"Host: a", ""},
      {"host: a", ""},
      {"Host: 127.0.0.1:1", ""},
      {"Host: [::1]:80", ""},
      {"Host: a:", ""},
      {"", "400 no Host"},
      {"X: y", "400 no Host"},
      {"Host: a\r\nHost: a", "400 more than one Host"},
      {"Host: a\r\nhost: b", "400 more than one Host"},
      {"Host:", "400 Host is not a host and port"},
      {"Host: a b", "400 Host is not a host and port"},
      {"Host: a/b", "400 Host is not a host and port"},
      {"Host: a@b", "400 Host is not a host and port"},
      {"Host: a,b:1", ""},
      {"Host: a:b", "400 Host is not a host and port"},
      {"Host: a:123456", "400 Host is not a host and port"},
      {"Host: [::1", "400 Host is not a host and port"},
      {"Host: []", "400 Host is not a host and port"},
      {"Host: [::1]x80", "400 Host is not a host and port"},
      {"Host : a", "400 white space before a header's colon"},
      {"Host\t: a", "400 white space before a header's colon"},
      {host + "A: b\r\n c", "400 a header line is folded"},
      {host + "A: b\r\n\tc", "400 a header line is folded"},
      {" " + host + "A: b", "400 a header line is folded"},
      {host + "A: b\rc", "400 a control character in a header"},
      {host + "A: b\r", "400 a control character in a header"},
      {host + "A: b"s + '\0' + "c", "400 a control character in a header"},
      {host + "A: b\x7F", "400 a control character in a header"},
      {host + "A: b\tc", ""},
      {host + "A: \xC3\xA9", ""},
      {host + "A", "400 a header line has no colon"},
      {host + ": a", "400 a header's name is not a token"},
      {host + "A B: c", "400 a header's name is not a token"},
      {host + "A\x01: c", "400 a header's name is not a token"},
      {host + "A: b\nC: d", "400 a line ends without a carriage return"},
      {host + "Content-Length: 5", ""},
      {host + "Content-Length: 0", ""},
      {host + "Transfer-Encoding: chunked", ""},
      {host + "Transfer-Encoding: Chunked", ""},
  };
  for (const Case& one : cases) {
    CAPTURE(one.lines);
    const std::string bytes = "POST / HTTP/1.1\r\n" + one.lines + (one.lines.empty() ? "" : "\r\n") + "\r\n";
    CHECK(verdict(request(bytes)) == one.expected);
    if (one.expected.find("carriage") == std::string::npos) CHECK(verdict(request(bytes, 1)) == one.expected);
  }
}

TEST_CASE("request head: the length of the body must be told in one way (RFC 9112 section 6)") {
  for (const char* lines : {"Content-Length: 5\r\nContent-Length: 5",
                            "Content-Length: 5\r\nContent-Length: 6",
                            "Content-Length: 5, 5",
                            "Content-Length: +5",
                            "Content-Length: -5",
                            "Content-Length: 5x",
                            "Content-Length: 0x5",
                            "Content-Length: ",
                            "Content-Length: 5 5",
                            "Content-Length: 99999999999999999999999",
                            "Content-Length: 5\r\nTransfer-Encoding: chunked",
                            "Transfer-Encoding: chunked\r\nContent-Length: 5",
                            "Transfer-Encoding: gzip, chunked",
                            "Transfer-Encoding: gzip",
                            "Transfer-Encoding: xchunked",
                            "Transfer-Encoding: chunked, chunked",
                            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                            "Transfer-Encoding: \"chunked\"",
                            "Transfer-Encoding: identity",
                            "Transfer-Encoding:\x0B"
                            "chunked"}) {
    CAPTURE(lines);
    CHECK(verdict(request("POST / HTTP/1.1\r\nHost: a\r\n"s + lines + "\r\n\r\n")).starts_with("400 "));
  }
  CHECK(verdict(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")).starts_with("400 "));
}

TEST_CASE("request head: request lines") {
  struct Case {
    std::string line;
    std::string expected;
  };
  const std::string malformed = "400 malformed request line";
  const Case cases[] = {
      {"GET / HTTP/1.1", ""},
      {"GET / HTTP/1.0", ""},
      {"DELETE /a%20b?c=d HTTP/1.1", ""},
      {"OPTIONS * HTTP/1.1", ""},
      {"GET http://a/b HTTP/1.1", ""},
      {"GET HTTPS://A HTTP/1.1", ""},
      {"GET * HTTP/1.1", "400 target * is for OPTIONS only"},
      {"GET http://b/ HTTP/1.1", "400 target and Host name different hosts"},
      {"GET ftp://a/ HTTP/1.1", "400 "},
      {"CONNECT a:80 HTTP/1.1", "405 CONNECT is for proxies"},
      {"BREW / HTTP/1.1", "501 unknown method"},
      {"get / HTTP/1.1", "501 unknown method"},
      {"GET  / HTTP/1.1", malformed},
      {"GET /  HTTP/1.1", "400 "},
      {"GET\t/ HTTP/1.1", "400 "},
      {"GET / HTTP/1.1 ", "400 "},
      {"GET /a b HTTP/1.1", "400 "},
      {"GET /a\tb HTTP/1.1", "400 "},
      {"GET / HTTP/2.0", "505 neither HTTP/1.1 nor HTTP/1.0"},
      {"GET / HTTP/1.2", "400 "},
      {"GET / HTTP/11", "400 "},
      {"GET / http/1.1", "400 "},
      {"GET /", "505 neither HTTP/1.1 nor HTTP/1.0"},
      {"GET", "400 "},
      {"PRI * HTTP/2.0", "400 "},
  };
  for (const Case& one : cases) {
    CAPTURE(one.line);
    const std::string said = verdict(request(one.line + "\r\nHost: a\r\n\r\n"));
    CHECK((one.expected.empty() ? said.empty() : said.starts_with(one.expected)));
    CHECK(said == verdict(request(one.line + "\r\nHost: a\r\n\r\n", 1)));
  }
  CHECK(verdict(request("GET / HTTP/1.0\r\n\r\n")) == "");
  CHECK(verdict(request("\x16\x03\x01")) == "400 not an HTTP request");
}

TEST_CASE("request head: one empty line before it is ignored, and no more than one (RFC 9112 section 2.2)") {
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{1000}}) {
    const auto result = request("\r\n" + kGet + "more", step);
    REQUIRE(verdict(result) == "");
    const auto& head = std::get<RequestHead>(result);
    CHECK(head.consumed == 2 + kGet.size());
    CHECK(head.bytes == kGet);
    CHECK(head.method == "GET");
    CHECK(head.headers.get(FieldName::Host) == "example.com:8080");
    CHECK(verdict(request("\r\n\r\n" + kGet, step)) == "400 the head begins with an empty line");
    CHECK(verdict(request("\r\n\x16\x03", step)) == "400 not an HTTP request");
    CHECK(verdict(request("\n" + kGet, step)) == "400 not an HTTP request");
    CHECK(verdict(request("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", step)).starts_with("400 "));
    CHECK(verdict(request("\r\n", step)) == "…");
  }
  HeadLimits limits;
  limits.maxBytes = kGet.size();
  CHECK(verdict(parseRequestHead("\r\n" + kGet, limits)) == "");
}

TEST_CASE("request head: it can be moved with its bytes") {
  std::string bytes = "\r\n" + kGet;
  auto result = parseRequestHead(bytes);
  REQUIRE(verdict(result) == "");
  RequestHead head = std::get<RequestHead>(std::move(result));
  const std::string copy(head.bytes);
  head.rebase(copy.data());
  bytes.assign(bytes.size(), 'x');
  CHECK(head.bytes.data() == copy.data());
  CHECK(head.method == "GET");
  CHECK(head.target == "/chat?room=1");
  CHECK(head.headers.get("cookie") == "a=1");
  CHECK(head.headers.get("X-Spaced") == "a b");
  CHECK(head.headers.get(FieldName::Upgrade) == "websocket");
}

TEST_CASE("fields: known names are told apart without case, and counted") {
  using Workerman::Connection::HeaderList;
  struct Case {
    std::string_view name;
    FieldName expected;
  };
  const Case cases[] = {{"Host", FieldName::Host},
                        {"EXPECT", FieldName::Expect},
                        {"upgrade", FieldName::Upgrade},
                        {"Location", FieldName::Location},
                        {"connectioN", FieldName::Connection},
                        {"Content-Length", FieldName::ContentLength},
                        {"Transfer-Encoding", FieldName::TransferEncoding},
                        {"Sec-WebSocket-Key", FieldName::SecWebSocketKey},
                        {"sec-websocket-accept", FieldName::SecWebSocketAccept},
                        {"Sec-WebSocket-Version", FieldName::SecWebSocketVersion},
                        {"Sec-WebSocket-Protocol", FieldName::SecWebSocketProtocol},
                        {"Sec-WebSocket-Extensions", FieldName::SecWebSocketExtensions},
                        {"Hosts", FieldName::Other},
                        {"", FieldName::Other}};
  for (const Case& one : cases) {
    CAPTURE(one.name);
    CHECK(fieldName(one.name) == one.expected);
    for (std::size_t at = 0; at < one.name.size(); ++at) {
      std::string other(one.name);
      other[at] = other[at] == '!' ? '+' : '!';
      CHECK(fieldName(other) == FieldName::Other);
    }
  }
  const FieldList fields = testing::fieldList(
      {{"Upgrade", "a"}, {"X", "1"}, {"uPGRADE", ""}, {"x", "2"}, {"Connection", "c"}, {"Upgrade", "b"}});
  CHECK(fields.size() == 6);
  CHECK(fields.count(FieldName::Upgrade) == 3);
  CHECK(fields.count("upgrade") == 3);
  CHECK(fields.get(FieldName::Upgrade) == "a");
  CHECK(fields.count("X") == 2);
  CHECK(fields.get("x") == "1");
  CHECK(fields.get("Y") == std::nullopt);
  CHECK(fields.get(FieldName::Host) == std::nullopt);
  std::string seen;
  CHECK_FALSE(fields.any(FieldName::Upgrade, [&](std::string_view value) {
    seen.append(value).append(";");
    return false;
  }));
  CHECK(seen == "a;;b;");
  CHECK(fields.any(FieldName::Upgrade, [](std::string_view value) { return value == "b"; }));
  CHECK(
      fields.toList() ==
      HeaderList{
          {"Upgrade", "a"}, {"X", "1"}, {"Upgrade", ""}, {"x", "2"}, {"Connection", "c"}, {"Upgrade", "b"}});
}

TEST_CASE("heads: every byte in a value, at every place, is judged alike") {
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool isGood = byte == '\t' || (static_cast<unsigned char>(byte) >= 0x20 && byte != '\x7F');
    for (std::size_t at = 1; at < 20; ++at) {
      std::string value(20, 'v');
      value[at] = byte;
      if (byte == '\n') continue;
      const std::string said = verdict(request("GET / HTTP/1.1\r\nHost: a\r\nX: " + value + "\r\n\r\n"));
      CHECK_MESSAGE(said == (isGood ? "" : "400 a control character in a header"), c, " at ", at);
    }
  }
}

TEST_CASE("heads: exactly maxBytes pass, one byte more is refused, also without an end in sight") {
  for (const std::size_t limit : {std::size_t{100}, std::size_t{1000}, std::size_t{16384}}) {
    CAPTURE(limit);
    HeadLimits limits;
    limits.maxBytes = limit;
    const auto sized = [](std::size_t size) {
      const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
      return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n";
    };
    CHECK(verdict(parseRequestHead(sized(limit - 1), limits)) == "");
    CHECK(verdict(parseRequestHead(sized(limit), limits)) == "");
    CHECK(verdict(parseRequestHead(sized(limit) + "body", limits)) == "");
    CHECK(verdict(parseRequestHead(sized(limit + 1), limits)) == "431 the head is too long");
    CHECK(verdict(parseRequestHead(sized(limit + 1).substr(0, limit), limits)) == "431 the head is too long");
    CHECK(verdict(parseRequestHead(sized(limit + 1).substr(0, limit - 1), limits)) == "…");
    CHECK(verdict(parseRequestHead("GET /" + std::string(limit, 'a'), limits)) ==
          "414 the first line is too long");
    CHECK(verdict(parseResponseHead("HTTP/1.1 200 OK\r\nX: " + std::string(limit, 'a'), limits)) ==
          "431 the head is too long");
    CHECK(verdict(parseResponseHead("HTTP/1.1 200 " + std::string(limit, 'a'), limits)) ==
          "414 the first line is too long");
  }
}

TEST_CASE("heads: exactly maxFields pass, one more is refused") {
  HeadLimits limits;
  limits.maxFields = 5;
  const auto fields = [](std::size_t count) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) lines += "X" + std::to_string(i) + ": y\r\n";
    return lines;
  };
  CHECK(verdict(parseRequestHead("GET / HTTP/1.1\r\nHost: a\r\n" + fields(4) + "\r\n", limits)) == "");
  CHECK(verdict(parseRequestHead("GET / HTTP/1.1\r\nHost: a\r\n" + fields(5) + "\r\n", limits)) ==
        "431 too many header fields");
  CHECK(verdict(parseResponseHead("HTTP/1.1 200 OK\r\n" + fields(5) + "\r\n", limits)) == "");
  CHECK(verdict(parseResponseHead("HTTP/1.1 200 OK\r\n" + fields(6) + "\r\n", limits)) ==
        "431 too many header fields");
}

TEST_CASE("heads: bytes once scanned are not searched again") {
  // The offset says where to go on; an end before it is not looked for.
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(verdict(parseRequestHead(bytes, {}, bytes.size())) == "…");
  CHECK(verdict(parseRequestHead(bytes, {}, bytes.size() - 1)) == "");
  const auto result = parseRequestHead(bytes.substr(0, bytes.size() - 1));
  CHECK(std::get<HeadIncomplete>(result).scanned == bytes.size() - 1);
}
