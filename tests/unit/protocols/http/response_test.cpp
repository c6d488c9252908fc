#include "protocols/http/response.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "support/heads.h"

using Workerman::Protocols::Http::Response;
using namespace std::string_literals;

namespace {

std::string printed(const Response& response) {
  std::ostringstream out;
  out << response;
  return out.str();
}

}  // namespace

TEST_CASE("response: without headers it prints as Workerman's does (manual: http/response)") {
  CHECK(printed(Response()) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: 0\r\n"
        "Connection: keep-alive\r\n\r\n");
  CHECK(printed(Response(404, {}, "<h1>gone</h1>")) ==
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: 13\r\n"
        "Connection: keep-alive\r\n\r\n<h1>gone</h1>");
}

TEST_CASE("response: headers given come first, those missing are added") {
  CHECK(printed(Response(200, {{"X-One", "1"}}, "body")) ==
        "HTTP/1.1 200 OK\r\nX-One: 1\r\nConnection: keep-alive\r\nContent-Type: text/html;charset=utf-8\r\n"
        "Content-Length: 4\r\n\r\nbody");
  CHECK(printed(Response(200, {{"connection", "close"}, {"content-type", "text/plain"}}, "body")) ==
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\nContent-Length: 4\r\n\r\nbody");
}

TEST_CASE("response: setters chain, headers are found without case") {
  Response response;
  response.header("A", "1").withHeader("B", "2").withHeaders({{"b", "3"}, {"C", "4"}}).withoutHeader("a");
  response.withStatus(201).withBody("x").withProtocolVersion("1.0");
  CHECK_FALSE(response.getHeader("A"));
  CHECK(response.getHeader("b") == "2");
  CHECK(response.getHeaders().count("B") == 2);
  CHECK(response.getHeader("c") == "4");
  CHECK(response.getStatusCode() == 201);
  CHECK(response.getProtocolVersion() == "1.0");
  CHECK(response.rawBody() == "x");
  response.header("B", "5");
  CHECK(response.getHeaders().count("B") == 1);
  CHECK(response.toString() ==
        "HTTP/1.0 201 Created\r\nB: 5\r\nC: 4\r\nConnection: keep-alive\r\n"
        "Content-Type: text/html;charset=utf-8\r\nContent-Length: 1\r\n\r\nx");
  response.withHeaders(response.getHeaders());
  CHECK(response.getHeaders().size() == 4);
}

TEST_CASE("response: reason phrases") {
  CHECK(Response::PHRASES.at(418) == "I'm a teapot");
  CHECK(Response::PHRASES.at(101) == "Switching Protocols");
  CHECK_FALSE(Response(200).getReasonPhrase());
  Response response(200);
  response.withStatus(299, "Half\r\nDone");
  CHECK(response.getReasonPhrase() == "HalfDone");
  CHECK(printed(response).starts_with("HTTP/1.1 299 HalfDone\r\n"));
  response.withStatus(404);
  CHECK_FALSE(response.getReasonPhrase());
  CHECK(printed(response).starts_with("HTTP/1.1 404 Not Found\r\n"));
  CHECK(printed(Response(799)).starts_with("HTTP/1.1 799 \r\n"));
}

TEST_CASE("response: nothing from the application splits it (response splitting)") {
  Response response(200, {{"Ok", "yes"}, {"Bad\r\nInjected", "x"}, {"Name:", "x"}, {"", "x"}});
  response.header("Value", "a\r\nSet-Cookie: evil=1")
      .header("Nul", std::string("a\0b", 3))
      .header("Lf", "a\nb");
  response.withProtocolVersion("1.1\r\nX: y").cookie("id", "1", std::nullopt, "/\r\nX: y");
  CHECK(
      printed(response) ==
      "HTTP/1.1X: y 200 OK\r\nOk: yes\r\nConnection: keep-alive\r\nContent-Type: text/html;charset=utf-8\r\n"
      "Content-Length: 0\r\n\r\n");
}

TEST_CASE("response: cookies are repeated, their values percent-encoded") {
  Response response;
  response.cookie("name", "tom & \xC3\xA9;=")
      .cookie("id", "7", 3600, "/app", "example.com", true, true, "Lax");
  response.cookie("old", "", 0);
  std::vector<std::string> cookies;
  for (const auto& [name, value] : response.getHeaders()) cookies.push_back(name + ": " + value);
  CHECK(cookies ==
        std::vector<std::string>{
            "Set-Cookie: name=tom%20%26%20%C3%A9%3B%3D",
            "Set-Cookie: id=7; Domain=example.com; Max-Age=3600; Path=/app; Secure; HttpOnly; SameSite=Lax",
            "Set-Cookie: old=; Max-Age=0"});
}

TEST_CASE("response: an event stream and a chunked body are only begun") {
  CHECK(printed(Response(200, {{"Content-Type", "text/event-stream"}}, "ignored")) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n");
  const std::string head =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n"
      "Content-Type: text/html;charset=utf-8\r\n\r\n";
  CHECK(printed(Response(200, {{"Transfer-Encoding", "chunked"}})) == head);
  CHECK(printed(Response(200, {{"Transfer-Encoding", "chunked"}}, std::string(26, 'c'))) ==
        head + "1a\r\n" + std::string(26, 'c') + "\r\n");
}

TEST_CASE(
    "response: differs from Workerman where two lengths, or a body that must not be, would break framing") {
  CHECK(printed(Response(204)) == "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
  CHECK(printed(Response(304, {{"ETag", "x"}}, "body")) ==
        "HTTP/1.1 304 Not Modified\r\nETag: x\r\nConnection: keep-alive\r\n\r\n");
  CHECK(printed(Response(101, {{"Connection", "Upgrade"}})) ==
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n");
  const auto lengths = [](const std::string& text) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("Content-Length", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  for (const char* length : {"3", "999", "x", "", "4\r\n"}) {
    const std::string text = printed(Response(200, {{"Content-Length", length}}, "body"));
    CHECK(lengths(text) == 1);
    CHECK(text.find("Content-Length: 4\r\n") != std::string::npos);
  }
  // The answer to HEAD has the length of a body that is not sent.
  CHECK(printed(Response(200, {{"Content-Length", "1234"}})).find("Content-Length: 1234\r\n") !=
        std::string::npos);
  CHECK(printed(Response(200, {{"Content-Length", "bogus"}})).find("Content-Length: 0\r\n") !=
        std::string::npos);
}

TEST_CASE("response: a received one prints as it came (api.md: the response of onWebSocketConnect)") {
  const auto head = testing::responseHead(
      "HTTP/1.1 101 Fine\r\nupgrade: WebSocket\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n");
  const Response response = Response::fromHead(head);
  CHECK(printed(response) ==
        "HTTP/1.1 101 Fine\r\nupgrade: WebSocket\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n");
  CHECK(response.getReasonPhrase() == "Fine");
  CHECK(response.getStatusCode() == 101);
  const auto bare = testing::responseHead("HTTP/1.1 101\r\n\r\n");
  CHECK(printed(Response::fromHead(bare)) == "HTTP/1.1 101 \r\n\r\n");
}
