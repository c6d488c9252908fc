#include "protocols/websocket/handshake.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <set>
#include <stdexcept>
#include <string>
#include <variant>

#include "support/heads.h"

using namespace Workerman::Protocols::detail;
using namespace std::string_literals;
using Workerman::Connection::HeaderList;
using Workerman::Protocols::Http::detail::FieldName;
using Workerman::Protocols::Http::detail::RequestHead;
using Workerman::Protocols::Http::detail::ResponseHead;

namespace {

const std::string kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455 section 1.3
const std::string kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

HandshakeRequest plain() {
  HandshakeRequest request;
  request.host = "example.com";
  request.port = 80;
  request.target = "/chat";
  request.key = kKey;
  return request;
}

RequestHead readRequest(const std::string& bytes) {
  return testing::requestHead(bytes);
}

/// The answer to kKey with these headers.
ResponseHead answer(const HeaderList& headers, int status = 101,
                    const std::string& reason = "Switching Protocols", const std::string& version = "1.1") {
  return testing::responseHead(
      testing::headText("HTTP/" + version + " " + std::to_string(status) + " " + reason, headers));
}

HeaderList good() {
  return {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", kAccept}};
}

HeaderList with(HeaderList headers, std::string_view name, std::string_view value) {
  headers.set(name, value);
  return headers;
}

HeaderList without(HeaderList headers, std::string_view name) {
  headers.erase(name);
  return headers;
}

RequestHead asked(const HeaderList& headers, const std::string& method = "GET",
                  const std::string& version = "1.1") {
  return testing::requestHead(testing::headText(method + " / HTTP/" + version, headers));
}

HeaderList goodRequest() {
  return {{"Host", "a"},
          {"Upgrade", "websocket"},
          {"Connection", "Upgrade"},
          {"Sec-WebSocket-Version", "13"},
          {"Sec-WebSocket-Key", kKey}};
}

}  // namespace

TEST_CASE("handshake: the accept value of RFC 6455 section 1.3") {
  CHECK(acceptFor(kKey) == kAccept);
}

TEST_CASE("handshake: keys are sixteen random bytes in base64") {
  std::set<std::string> keys;
  for (int i = 0; i < 500; ++i) keys.insert(newKey());
  CHECK(keys.size() == 500);
  for (const std::string& key : keys) {
    REQUIRE(key.size() == 24);
    REQUIRE(key.ends_with("=="));
    REQUIRE(checkRequest(asked(with(goodRequest(), "Sec-WebSocket-Key", key))).ok());
  }
}

// -- client -------------------------------------------------------------------

TEST_CASE("handshake: the request, byte for byte") {
  CHECK(buildRequest(plain()) ==
        "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  HandshakeRequest request = plain();
  const HeaderList headers = {{"Cookie", "a=b"}, {"OtherKey", "values"}, {"OtherKey", "more"}, {"Empty", ""}};
  request.origin = "http://example.com";
  request.protocols = "chat, superchat";
  request.extensions = "permessage-deflate";
  request.headers = &headers;
  CHECK(buildRequest(request) ==
        "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Cookie: a=b\r\nOtherKey: values\r\nOtherKey: more\r\nEmpty: \r\n\r\n");
}

TEST_CASE("handshake: Host has the port unless it is the scheme's own") {
  struct Case {
    const char* host;
    int port;
    bool secure;
    const char* expected;
  };
  const Case cases[] = {
      {"a", 80, false, "a"},
      {"a", 443, true, "a"},
      {"a", 443, false, "a:443"},
      {"a", 80, true, "a:80"},
      {"a", 8080, false, "a:8080"},
      {"a", 0, false, "a"},
      {"::1", 80, false, "[::1]"},
      {"::1", 81, false, "[::1]:81"},
      {"[::1]", 81, false, "[::1]:81"},
      {"", 0, false, "localhost"},
      {"127.0.0.1", 1234, false, "127.0.0.1:1234"},
  };
  for (const Case& one : cases) {
    HandshakeRequest request = plain();
    request.host = one.host;
    request.port = one.port;
    request.secure = one.secure;
    CHECK(readRequest(buildRequest(request)).headers.get("Host") == one.expected);
  }
}

TEST_CASE("handshake: the user's Host is the only one (walkor/workerman#374)") {
  HandshakeRequest request = plain();
  const HeaderList headers = {{"A", "b"}, {"hOST", "other.example"}};
  request.headers = &headers;
  const RequestHead head = readRequest(buildRequest(request));
  CHECK(head.headers.count("Host") == 1);
  CHECK(head.headers.get("Host") == "other.example");
  CHECK(head.headers.get("A") == "b");
}

TEST_CASE("handshake: the target begins with a slash") {
  for (const auto& [target, expected] :
       {std::pair{"", "/"}, {"/", "/"}, {"?a=b", "/?a=b"}, {"/a?b=c", "/a?b=c"}}) {
    HandshakeRequest request = plain();
    request.target = target;
    CHECK(readRequest(buildRequest(request)).target == expected);
  }
}

TEST_CASE("handshake: what may not stand in a target is percent-encoded (RFC 3986 sections 3.3 and 3.4)") {
  struct Case {
    std::string target, expected;
  };
  const Case cases[] = {
      {"/h\xC3\xB6?q=\xE2\x82\xAC", "/h%C3%B6?q=%E2%82%AC"},
      {"/{a}\"b\"^c|d\\e`f", "/%7Ba%7D%22b%22%5Ec%7Cd%5Ce%60f"},
      {"/<a>?b[]=[1]#c", "/%3Ca%3E?b%5B%5D=%5B1%5D%23c"},
      {"/%zz", "/%25zz"},
      {"/%", "/%25"},
      {"/%4", "/%254"},
      {"/%4g%%41", "/%254g%25%41"},
      {"/a%20b%c3%B6", "/a%20b%c3%B6"},
      {"/-._~!$&'()*+,;=:@/?AZaz09", "/-._~!$&'()*+,;=:@/?AZaz09"},
      {"\xFF", "/%FF"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.target);
    HandshakeRequest request = plain();
    request.target = one.target;
    const RequestHead head = readRequest(buildRequest(request));
    CHECK(head.target == one.expected);
    CHECK(checkRequest(head).ok());
  }
  // Every other character is either sent as it is or encoded, and our own server takes all of them.
  for (int c = 0x21; c < 0x100; ++c) {
    const auto byte = static_cast<unsigned char>(c);
    HandshakeRequest request = plain();
    const std::string target{'/', 'a', static_cast<char>(c), 'b'};
    if (byte == 0x7F) continue;
    request.target = target;
    const RequestHead head = readRequest(buildRequest(request));
    char encoded[8];
    std::snprintf(encoded, sizeof encoded, "/a%%%02Xb", static_cast<unsigned>(byte));
    CHECK((head.target == target || head.target == encoded));
    CHECK((byte < 0x80 || head.target == encoded));
  }
}

TEST_CASE("handshake: our own server accepts our own request") {
  const RequestCheck check = checkRequest(readRequest(buildRequest(plain())));
  CHECK(check.ok());
  CHECK(check.key == kKey);
  const auto head = testing::responseHead(buildAccept(check.key, "chat", {{"X", "y"}}));
  CHECK_FALSE(checkResponse(head, kKey, "chat"));
  CHECK(head.headers.get("X") == "y");
}

TEST_CASE("handshake: CR, LF and NUL are refused wherever the user can put them") {
  for (const std::string& evil : {"a\rb"s, "a\nb"s, "a\r\nInjected: yes"s, "a\0b"s}) {
    for (int place = 0; place < 7; ++place) {
      CAPTURE(place);
      HandshakeRequest request = plain();
      HeaderList headers;
      if (place == 0) request.host = evil;
      if (place == 1) request.target = evil;
      if (place == 2) request.origin = evil;
      if (place == 3) request.protocols = evil;
      if (place == 4) request.extensions = evil;
      if (place == 5) headers.add(evil, "value");
      if (place == 6) headers.add("Name", evil);
      request.headers = &headers;
      CHECK_THROWS_AS(static_cast<void>(buildRequest(request)), std::invalid_argument);
    }
    CHECK_THROWS_AS(static_cast<void>(buildAccept(kKey, evil)), std::invalid_argument);
    CHECK_THROWS_AS(static_cast<void>(buildAccept(kKey, "", {{"X", evil}})), std::invalid_argument);
    CHECK_THROWS_AS(static_cast<void>(buildRefusal(403, {{evil, "x"}})), std::invalid_argument);
  }
}

TEST_CASE("handshake: each refusal of a request names its cause") {
  const auto cause = [](const HandshakeRequest& request, const HeaderList& headers) {
    HandshakeRequest copy = request;
    copy.headers = &headers;
    try {
      return "built: " + buildRequest(copy);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
  };
  HandshakeRequest request = plain();
  for (const char* name : {"Upgrade", "connection", "SEC-WEBSOCKET-KEY", "Sec-WebSocket-Version",
                           "Sec-WebSocket-Extensions", "Content-Length", "Transfer-Encoding"}) {
    CHECK(cause(request, {{name, "x"}}) ==
          "websocket handshake: header "s + name + " is set by the handshake itself");
  }
  CHECK(cause(request, {{"Host", "a"}, {"host", "b"}}) == "websocket handshake: header Host is given twice");
  CHECK(cause(request, {{"Bad Name", "x"}}) == "websocket handshake: \"Bad Name\" is not a header name");
  CHECK(cause(request, {{"X\r\n", "x"}}) == "websocket handshake: a header name contains CR, LF or NUL");
  CHECK(cause(request, {{"X", "\n"}}) == "websocket handshake: header X contains CR, LF or NUL");
  CHECK(cause(request, {{"Origin", "x"}, {"Sec-WebSocket-Protocol", "y"}}).starts_with("built: "));
  request.origin = "http://a";
  CHECK(cause(request, {{"origin", "x"}}) ==
        "websocket handshake: the origin is given twice, also as a header");
  request.protocols = "chat";
  CHECK(cause(request, {{"Sec-WebSocket-Protocol", "x"}}) ==
        "websocket handshake: the sub-protocol is given twice, also as a header");
  request.target = "/a b";
  CHECK(cause(request, {}) == "websocket handshake: the URI contains white space");
  request.target = "/a\n";
  CHECK(cause(request, {}) == "websocket handshake: the URI contains CR, LF or NUL");
  request.target = "/a\x01";
  CHECK(cause(request, {}) == "websocket handshake: the URI contains a control character");
  request = plain();
  CHECK(cause(request, {{"X", "a\x7F"}}) == "websocket handshake: header X contains a control character");
  CHECK(cause(request, {{"X", "a\tb"}}).starts_with("built: "));
  CHECK(cause(request, {{"X", "h\xC3\xB6"}}).starts_with("built: "));
  for (const char* host : {"a b", "h\xC3\xB6", "a/b", "a:b", "", "user@a", "[::1", "a:123456"}) {
    CHECK(cause(request, {{"Host", host}}) ==
          "websocket handshake: Host \""s + host + "\" is not a host and port");
  }
  request.host = "h\xC3\xB6";
  CHECK(cause(request, {}) == "websocket handshake: Host \"h\xC3\xB6\" is not a host and port");
  request = plain();
  const std::string foreign = " is not ASCII; an international name is written in punycode";
  request.origin = "http://h\xC3\xB6";
  CHECK(cause(request, {}) == "websocket handshake: the origin" + foreign);
  request.origin = "";
  CHECK(cause(request, {{"origin", "http://h\xC3\xB6"}}) == "websocket handshake: header Origin" + foreign);
}

TEST_CASE("handshake: answers of 1xx but 101 come before the one that counts (RFC 9110 section 15.2)") {
  for (const int status : {100, 102, 103, 199}) CHECK(isInterim(status));
  for (const int status : {99, 101, 200, 204, 301, 400, 500, 0}) CHECK_FALSE(isInterim(status));
}

TEST_CASE("handshake: answers that complete the upgrade (RFC 6455 section 4.1)") {
  struct Case {
    HeaderList headers;
    std::string protocols;
    std::string extensions;
  };
  const Case cases[] = {
      {good(), "", ""},
      {good(), "chat", "permessage-deflate"},
      {with(good(), "Upgrade", "WebSocket"), "", ""},
      {with(good(), "Upgrade", "h2c, websocket"), "", ""},
      {with(good(), "Connection", "upgrade"), "", ""},
      {with(good(), "Connection", "keep-alive, Upgrade"), "", ""},
      {with(good(), "Sec-WebSocket-Protocol", "b"), "a, b ,c", ""},
      {with(good(), "Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=12"), "",
       "permessage-deflate; client_max_window_bits"},
      {with(good(), "Sec-WebSocket-Extensions", "x, y"), "", "y;a=b, x"},
      {with(good(), "Sec-WebSocket-Extensions", ""), "", ""},
  };
  for (const Case& one : cases)
    CHECK(checkResponse(answer(one.headers), kKey, one.protocols, one.extensions) == std::nullopt);
}

TEST_CASE("handshake: each way an answer can be wrong has its own message") {
  struct Case {
    ResponseHead head;
    std::string expected;
  };
  HeaderList twoAccepts = good();
  twoAccepts.add("Sec-WebSocket-Accept", kAccept);
  HeaderList twoProtocols = with(good(), "Sec-WebSocket-Protocol", "chat");
  twoProtocols.add("Sec-WebSocket-Protocol", "chat");
  HeaderList twoExtensions = with(good(), "Sec-WebSocket-Extensions", "known");
  twoExtensions.add("Sec-WebSocket-Extensions", "known");
  const ResponseHead old = answer(good(), 101, "Switching Protocols", "1.0");
  const Case cases[] = {
      {answer({}, 200, "OK"), "server answered 200 OK instead of switching to websocket"},
      {answer({{"Location", "http://b/"}}, 301, "Moved Permanently"),
       "server answered 301 Moved Permanently (Location: http://b/) instead of switching to websocket"},
      {answer(good(), 404, ""), "server answered 404 instead of switching to websocket"},
      {old, "server answered 101 in HTTP/1.0"},
      {answer(without(good(), "Upgrade")), "server's answer has no \"Upgrade: websocket\""},
      {answer(with(good(), "Upgrade", "websocket2")), "server's answer has no \"Upgrade: websocket\""},
      {answer(with(good(), "Upgrade", "")), "server's answer has no \"Upgrade: websocket\""},
      {answer(without(good(), "Connection")), "server's answer has no \"Connection: Upgrade\""},
      {answer(with(good(), "Connection", "close")), "server's answer has no \"Connection: Upgrade\""},
      {answer(without(good(), "Sec-WebSocket-Accept")), "server's answer has no Sec-WebSocket-Accept"},
      {answer(with(good(), "Sec-WebSocket-Accept", "")),
       "Sec-WebSocket-Accept of the server's answer does not match the key"},
      {answer(with(good(), "Sec-WebSocket-Accept", kKey)),
       "Sec-WebSocket-Accept of the server's answer does not match the key"},
      {answer(with(good(), "Sec-WebSocket-Accept", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=")),
       "Sec-WebSocket-Accept of the server's answer does not match the key"},
      {answer(twoAccepts), "server's answer has more than one Sec-WebSocket-Accept"},
      {answer(with(good(), "Sec-WebSocket-Protocol", "other")),
       "server chose the sub-protocol \"other\", which was not offered"},
      {answer(with(good(), "Sec-WebSocket-Protocol", "Chat")),
       "server chose the sub-protocol \"Chat\", which was not offered"},
      {answer(with(good(), "Sec-WebSocket-Protocol", "chat, superchat")),
       "server chose the sub-protocol \"chat, superchat\", which was not offered"},
      {answer(with(good(), "Sec-WebSocket-Protocol", "")),
       "server chose the sub-protocol \"\", which was not offered"},
      {answer(twoProtocols), "server chose more than one sub-protocol"},
      {answer(with(good(), "Sec-WebSocket-Extensions", "foo")),
       "server uses the extension \"foo\", which was not offered"},
      {answer(with(good(), "Sec-WebSocket-Extensions", "known, known; a=b, foo; c=d")),
       "server uses the extension \"foo\", which was not offered"},
      {answer(twoExtensions), "server's answer has more than one Sec-WebSocket-Extensions"},
      {answer(with(good(), "Sec-WebSocket-Extensions", "known;")),
       "server's answer has a malformed Sec-WebSocket-Extensions"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.expected);
    CHECK(checkResponse(one.head, kKey, "chat, superchat", "known; x=y").value_or("accepted") ==
          one.expected);
  }
}

// -- server -------------------------------------------------------------------

TEST_CASE(
    "handshake: each way a request can be wrong has its own status and cause (RFC 6455 section 4.2.1)") {
  struct Case {
    RequestHead head;
    int status;
    std::string cause;
  };
  HeaderList twoKeys = goodRequest();
  twoKeys.add("Sec-WebSocket-Key", kKey);
  HeaderList twoVersions = goodRequest();
  twoVersions.add("Sec-WebSocket-Version", "13");
  const auto badKey = [](const char* key) { return asked(with(goodRequest(), "Sec-WebSocket-Key", key)); };
  const std::string notBase64 = "Sec-WebSocket-Key is not sixteen bytes in base64";
  const Case cases[] = {
      {asked(goodRequest()), 0, ""},
      {asked(with(goodRequest(), "Connection", "keep-alive, upgrade")), 0, ""},
      {asked(with(goodRequest(), "Upgrade", "WebSocket")), 0, ""},
      {asked(with(goodRequest(), "Content-Length", "0")), 0, ""},
      {asked(goodRequest(), "POST"), 405, "a websocket handshake is a GET request"},
      {asked(goodRequest(), "GET", "1.0"), 400, "a websocket handshake needs HTTP/1.1"},
      {asked(without(goodRequest(), "Upgrade")), 426, "no \"Upgrade: websocket\""},
      {asked(with(goodRequest(), "Upgrade", "h2c")), 426, "no \"Upgrade: websocket\""},
      {asked(without(goodRequest(), "Connection")), 400, "no \"Connection: Upgrade\""},
      {asked(with(goodRequest(), "Connection", "close")), 400, "no \"Connection: Upgrade\""},
      {asked(with(goodRequest(), "Content-Length", "5")), 400, "a websocket handshake has no body"},
      {asked(with(goodRequest(), "Transfer-Encoding", "chunked")), 400, "a websocket handshake has no body"},
      {asked(without(goodRequest(), "Sec-WebSocket-Version")), 400, "no Sec-WebSocket-Version"},
      {asked(with(goodRequest(), "Sec-WebSocket-Version", "8")), 426, "Sec-WebSocket-Version is not 13"},
      {asked(twoVersions), 400, "more than one Sec-WebSocket-Version"},
      {asked(without(goodRequest(), "Sec-WebSocket-Key")), 400, "no Sec-WebSocket-Key"},
      {asked(twoKeys), 400, "more than one Sec-WebSocket-Key"},
      {asked(with(goodRequest(), "Sec-WebSocket-Extensions", "x-one;a=\"b\" , , permessage-deflate")), 0, ""},
      {asked(with(goodRequest(), "Sec-WebSocket-Extensions", "permessage-deflate;")), 400,
       "Sec-WebSocket-Extensions is malformed"},
      {asked(with(goodRequest(), "Expect", "100-Continue")), 0, ""},
      {asked(with(goodRequest(), "Expect", "")), 0, ""},
      {asked(with(goodRequest(), "Expect", "100-continue, 200-ok")), 417,
       "an expectation other than 100-continue"},
      {asked(with(goodRequest(), "Expect", "x")), 417, "an expectation other than 100-continue"},
      {badKey(""), 400, notBase64},
      {badKey("dGhlIHNhbXBsZSBub25jZQ="), 400, notBase64},
      {badKey("dGhlIHNhbXBsZSBub25jZQ==="), 400, notBase64},
      {badKey("dGhlIHNhbXBsZSBub25jZQQQ"), 400, notBase64},
      {badKey("dGhlIHNhbXBsZSBub25j!Q=="), 400, notBase64},
  };
  for (const Case& one : cases) {
    CAPTURE(one.cause);
    const RequestCheck check = checkRequest(one.head);
    CHECK(check.status == one.status);
    CHECK(check.cause == one.cause);
    CHECK(check.ok() == (one.status == 0));
    CHECK(check.key == (check.ok() ? kKey : ""));
  }
}

TEST_CASE("handshake: who expects a 100 is told apart") {
  CHECK(expectsContinue(asked(with(goodRequest(), "expect", "100-CONTINUE"))));
  CHECK_FALSE(expectsContinue(asked(with(goodRequest(), "Expect", ""))));
  CHECK_FALSE(expectsContinue(asked(goodRequest())));
}

TEST_CASE("handshake: the accepting answer, byte for byte") {
  CHECK(buildAccept(kKey) ==
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  CHECK(buildAccept(kKey, "chat", {{"Server", "x"}}) ==
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\nServer: "
        "x\r\n\r\n");
  CHECK(buildAccept(kKey, "", {}, "permessage-deflate") ==
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: "
        "permessage-deflate\r\n\r\n");
  for (const char* name : {"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions",
                           "Content-Length", "Transfer-Encoding"}) {
    CHECK_THROWS_AS(static_cast<void>(buildAccept(kKey, "", {{name, "x"}})), std::invalid_argument);
  }
}

TEST_CASE("handshake: refusals close, and say what would be accepted") {
  CHECK(buildRefusal(403, {}, "no") ==
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/html;charset=utf-8\r\n"
        "Content-Length: 2\r\n\r\nno");
  const auto headersOf = [](int status) { return testing::responseHead(buildRefusal(status)).headers; };
  CHECK(headersOf(405).get("Allow") == "GET");
  CHECK(headersOf(426).get("Upgrade") == "websocket");
  CHECK(headersOf(426).get("Sec-WebSocket-Version") == "13");
  CHECK(headerHasToken(headersOf(426), FieldName::Connection, "Upgrade"));
  for (const int status : {400, 403, 405, 426, 503})
    CHECK(headerHasToken(headersOf(status), FieldName::Connection, "close"));
}

TEST_CASE("handshake: tokens of comma-separated headers") {
  struct Case {
    HeaderList headers;
    bool expected;
  };
  const Case cases[] = {
      {{}, false},
      {{{"Connection", "Upgrade"}}, true},
      {{{"connection", " , upgrade ,"}}, true},
      {{{"Connection", "a"}, {"Connection", "b,UPGRADE"}}, true},
      {{{"Connection", "upgrade;q=1"}}, false},
      {{{"Connection", "up grade"}}, false},
      {{{"Connection", ",,,"}}, false},
      {{{"Other", "upgrade"}}, false},
  };
  for (const Case& one : cases) {
    CHECK(headerHasToken(testing::fieldList(one.headers), FieldName::Connection, "Upgrade") == one.expected);
  }
}
