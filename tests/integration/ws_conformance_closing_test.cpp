#include <string>
#include <vector>

#include "support/wire_echo.h"

/// The closing handshake as the peer begins it: one table for both roles
/// (RFC 6455 sections 5.5.1 and 7). Ours answers with the same code, tells the
/// application once, and a server ends the TCP connection.

using namespace testing;

TEST_CASE("ws conformance: 7.1 what is sent around a close frame (RFC 6455 section 5.5.1)") {
  const std::string large(256 * 1024, '*');
  runCases(
      {
          {"7.1.1", "a message, then close", {text("Hello"), goodbye(1000)}, {text("Hello")}, 1000},
          {"7.1.2", "two close frames", {goodbye(1000), goodbye(1000)}, {}, 1000},
          {"7.1.3", "a ping behind it is not answered", {goodbye(1000), ping("late")}, {}, 1000},
          {"7.1.4", "nor is a message", {goodbye(1000), text("late")}, {}, 1000},
          {"7.1.5", "nor the end of one", {textStart("a"), goodbye(1000), last("b")}, {}, 1000},
          {"7.1.6",
           "a large message, another, close, a ping",
           {text(large), text("Hello"), goodbye(1000), ping("late")},
           {text(large), text("Hello")},
           1000},
          {"7.1.7", "rubbish behind it", {goodbye(1000), wireFrame(0xFF, "x")}, {}, 1000},
      },
      {0, 509});
}

TEST_CASE("ws conformance: 7.3 payloads of close frames (RFC 6455 section 5.5.1)") {
  runCases(
      {
          {"7.3.1", "none", {goodbye("")}, {}, 1005},
          {"7.3.2", "half a code", {goodbye("\x03")}, {}, 1002},
          {"7.3.3", "a code", {goodbye(1000)}, {}, 1000},
          {"7.3.4", "a code and a reason", {goodbye(1000, "Hello World!")}, {}, 1000},
          {"7.3.5", "the longest reason", {goodbye(1000, std::string(123, '*'))}, {}, 1000},
          {"7.3.6", "one that is too long", {goodbye(1000, std::string(124, '*'))}, {}, 1002},
          {"7.3.7",
           "the longest in characters of two bytes",
           {goodbye(1000,
                    [] {
                      std::string reason = "x";
                      for (int i = 0; i < 61; ++i) reason += "\xc3\xa4";
                      return reason;
                    }())},
           {},
           1000},
      },
      {0, 1});
}

TEST_CASE("ws conformance: 7.5 a reason that is no UTF-8 (RFC 6455 section 5.5.1)") {
  std::vector<WireCase> cases;
  for (const char* reason : {"\xff", "ok\xc0\x80", "half\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    cases.push_back({"7.5", "bad reason", {goodbye(1000, reason)}, {}, 1007});
  }
  runCases(cases, {0, 1});
}

TEST_CASE("ws conformance: 7.7 codes that may be sent come back (RFC 6455 section 7.4)") {
  std::vector<WireCase> cases;
  for (const int code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    cases.push_back({"7.7." + std::to_string(code), "", {goodbye(code)}, {}, code});
    cases.push_back({"7.7." + std::to_string(code), "reason", {goodbye(code, "why not")}, {}, code});
  }
  runCases(cases, {0, 1});
}

TEST_CASE("ws conformance: 7.9 codes that must not be sent are 1002 (RFC 6455 section 7.4)") {
  std::vector<WireCase> cases;
  for (const int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    cases.push_back({"7.9." + std::to_string(code), "", {goodbye(code)}, {}, 1002});
    cases.push_back({"7.9." + std::to_string(code), "reason", {goodbye(code, "why not")}, {}, 1002});
  }
  runCases(cases, {0, 1});
}
