#include "protocols/websocket/extensions.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/heads.h"

using namespace Workerman::Protocols::detail;
using Workerman::Connection::HeaderList;
using Workerman::Protocols::DeflateOptions;

namespace {

constexpr DeflateOptions kNoContext{.serverNoContextTakeover = true, .clientNoContextTakeover = true};
constexpr DeflateOptions kContext{.serverNoContextTakeover = false, .clientNoContextTakeover = false};

DeflateOptions bits(int server, int client) {
  DeflateOptions options = kContext;
  options.serverMaxWindowBits = server;
  options.clientMaxWindowBits = client;
  return options;
}

/// "name;parameter=value;parameter, name", or "malformed".
std::string printed(const std::optional<std::vector<Extension>>& list) {
  if (!list) return "malformed";
  std::string out;
  for (const auto& one : *list) {
    out += (out.empty() ? "" : ", ") + one.name;
    for (const auto& parameter : one.parameters) {
      out += ";" + parameter.name;
      if (parameter.value) out += "=" + *parameter.value;
    }
  }
  return out;
}

std::vector<Extension> read(std::string_view value) {
  const auto list = parseExtensions(value);
  REQUIRE(list.has_value());
  return *list;
}

/// "server client" of an agreement: the window bits, with an n where no context is taken over.
std::string printed(const DeflateAgreement& agreed) {
  return std::to_string(agreed.serverMaxWindowBits) + (agreed.serverNoContextTakeover ? "n " : " ") +
         std::to_string(agreed.clientMaxWindowBits) + (agreed.clientNoContextTakeover ? "n" : "");
}

}  // namespace

TEST_CASE("extensions: the grammar of the header (RFC 6455 section 9.1)") {
  struct Case {
    const char* value;
    const char* expected;
  };
  const Case cases[] = {
      {"", ""},
      {" \t ", ""},
      {"foo", "foo"},
      {"foo, bar; baz=2", "foo, bar;baz=2"},
      {"bar; baz=2, foo, bar; baz=3", "bar;baz=2, foo, bar;baz=3"},
      {" , foo ,,\tbar , ", "foo, bar"},
      {"foo;a;b = c ;d\t=\t\"e\"", "foo;a;b=c;d=e"},
      {"foo;a=\"b\\c\\d\"", "foo;a=bcd"},
      {"foo;a;a=1;a=2", "foo;a;a=1;a=2"},
      {"x!#$%&'*+-.^_`|~9Z", "x!#$%&'*+-.^_`|~9Z"},
      {"foo;", "malformed"},
      {"foo; ;a", "malformed"},
      {";a", "malformed"},
      {"foo bar", "malformed"},
      {"foo;a b", "malformed"},
      {"foo;a=", "malformed"},
      {"foo;=1", "malformed"},
      {"foo=1", "malformed"},
      {"foo;a=1=2", "malformed"},
      {"foo;a=\"\"", "malformed"},
      {"foo;a=\"b c\"", "malformed"},
      {"foo;a=\"b,c\"", "malformed"},
      {"foo;a=\"b", "malformed"},
      {"foo;a=\"b\\", "malformed"},
      {"foo;a=\"b\\\"\"", "malformed"},
      {"foo;a=\"b\"c", "malformed"},
      {"\"foo\"", "malformed"},
      {"foo@bar", "malformed"},
      {"f\xC3\xB6o", "malformed"},
      {"(comment) foo", "malformed"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.value);
    CHECK(printed(parseExtensions(std::string_view(one.value))) == one.expected);
  }
}

TEST_CASE("extensions: several fields are one list, in order") {
  HeaderList headers{{"Sec-WebSocket-Extensions", "a;x"}, {"Other", "b"}};
  headers.add("sec-websocket-extensions", "c, d");
  CHECK(printed(parseExtensions(testing::fieldList(headers))) == "a;x, c, d");
  headers.add("Sec-WebSocket-Extensions", "e;");
  CHECK(printed(parseExtensions(testing::fieldList(headers))) == "malformed");
  CHECK(printed(parseExtensions(testing::fieldList({}))) == "");
}

TEST_CASE("extensions: the server takes the first offer that it need not decline (RFC 7692 section 7.1)") {
  struct Case {
    const char* offers;
    DeflateOptions options;
    const char* answer;  ///< "declined" if there is none
    const char* agreed;
  };
  const std::string name = "permessage-deflate";
  const Case cases[] = {
      {"permessage-deflate", kContext, "", "15 15"},
      {"permessage-deflate", kNoContext, "; server_no_context_takeover; client_no_context_takeover",
       "15n 15n"},
      {"permessage-deflate; server_no_context_takeover", kContext, "; server_no_context_takeover", "15n 15"},
      {"permessage-deflate; client_no_context_takeover", kContext, "; client_no_context_takeover", "15 15n"},
      // Windows: the smaller of what both want. A client is only told one if it can be.
      {"permessage-deflate; client_max_window_bits", kContext, "", "15 15"},
      {"permessage-deflate; client_max_window_bits", bits(15, 10), "; client_max_window_bits=10", "15 10"},
      {"permessage-deflate; client_max_window_bits=12", bits(15, 10), "; client_max_window_bits=10", "15 10"},
      {"permessage-deflate; client_max_window_bits=9", bits(15, 10), "; client_max_window_bits=9", "15 9"},
      {"permessage-deflate; client_max_window_bits=15", kContext, "; client_max_window_bits=15", "15 15"},
      {"permessage-deflate", bits(15, 10), "", "15 15"},
      {"permessage-deflate", bits(9, 15), "; server_max_window_bits=9", "9 15"},
      {"permessage-deflate; server_max_window_bits=15", kContext, "; server_max_window_bits=15", "15 15"},
      {"permessage-deflate; server_max_window_bits=8", kContext, "; server_max_window_bits=8", "8 15"},
      {"permessage-deflate; server_max_window_bits=12", bits(9, 15), "; server_max_window_bits=9", "9 15"},
      {"permessage-deflate; server_max_window_bits=\"10\"", kContext, "; server_max_window_bits=10", "10 15"},
      {"permessage-deflate; client_max_window_bits; server_max_window_bits=10; client_no_context_takeover; "
       "server_no_context_takeover",
       bits(11, 9),
       "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
       "client_max_window_bits=9",
       "10n 9n"},
      // RFC 7692 section 7.1.3: the second offer is what a client falls back to.
      {"permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; "
       "client_max_window_bits",
       kContext, "; server_max_window_bits=10", "10 15"},
      {"permessage-deflate; server_max_window_bits=7, permessage-deflate", kContext, "", "15 15"},
      {"foo, permessage-deflate; unknown, permessage-deflate; server_no_context_takeover", kContext,
       "; server_no_context_takeover", "15n 15"},
      {"", kContext, "declined", ""},
      {"x-webkit-deflate-frame", kContext, "declined", ""},
      {"Permessage-Deflate", kContext, "declined", ""},
      {"permessage-deflate; unknown", kContext, "declined", ""},
      {"permessage-deflate; server_no_context_takeover=1", kContext, "declined", ""},
      {"permessage-deflate; client_no_context_takeover=true", kContext, "declined", ""},
      {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", kContext, "declined",
       ""},
      {"permessage-deflate; client_no_context_takeover; client_no_context_takeover", kContext, "declined",
       ""},
      {"permessage-deflate; server_max_window_bits", kContext, "declined", ""},
      {"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", kContext, "declined", ""},
      {"permessage-deflate; client_max_window_bits; client_max_window_bits=10", kContext, "declined", ""},
      {"permessage-deflate; client_max_window_bits=10; client_max_window_bits", kContext, "declined", ""},
  };
  for (const Case& one : cases) {
    CAPTURE(one.offers);
    const auto accepted = acceptDeflate(read(one.offers), one.options);
    CHECK((accepted ? accepted->answer : "declined") ==
          (std::string(one.answer) == "declined" ? "declined" : name + one.answer));
    if (accepted) CHECK(printed(accepted->agreed) == one.agreed);
  }
}

TEST_CASE("extensions: window bits are 8 to 15 without leading zeros (RFC 7692 section 7.1.2.1)") {
  for (const char* name : {"server_max_window_bits", "client_max_window_bits"}) {
    const auto offer = [name](const std::string& value) {
      return acceptDeflate(read(std::string("permessage-deflate; ") + name + "=" + value), kContext)
          .has_value();
    };
    for (int value = 8; value <= 15; ++value) CHECK(offer(std::to_string(value)));
    for (const char* bad : {"0", "1", "7", "16", "20", "08", "010", "015", "-8", "+8", "8.0", "1O", "10x",
                            "x", "a5", "255", "264", "4294967304"}) {
      CAPTURE(bad);
      CHECK_FALSE(offer(bad));
    }
  }
}

TEST_CASE("extensions: what a client offers (RFC 7692 section 7.1.3)") {
  CHECK(offerDeflate(kContext) == "permessage-deflate; client_max_window_bits");
  CHECK(offerDeflate(kNoContext) ==
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits");
  CHECK(offerDeflate(bits(10, 15)) ==
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits");
  CHECK(offerDeflate(bits(15, 8)) == "permessage-deflate; client_max_window_bits=8");
}

TEST_CASE(
    "extensions: a client takes what fits its offer, and fails at anything else (RFC 7692 section 7.1)") {
  struct Case {
    const char* answer;
    DeflateOptions options;
    const char* expected;
  };
  const Case cases[] = {
      {"", kContext, "declined"},
      {"permessage-deflate", kContext, "15 15"},
      {"permessage-deflate; server_no_context_takeover", kContext, "15n 15"},
      {"permessage-deflate; client_no_context_takeover", kContext, "15 15n"},
      {"permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"8\"", kContext, "10 8"},
      {"permessage-deflate; server_max_window_bits=9", bits(10, 15), "9 15"},
      {"permessage-deflate; client_max_window_bits=11", bits(15, 12), "15 11"},
      {"permessage-deflate", bits(15, 12), "15 12"},
      {"permessage-deflate; server_no_context_takeover", kNoContext, "15n 15n"},
      {"permessage-deflate", kNoContext, "server_no_context_takeover was offered and is not accepted"},
      {"permessage-deflate", bits(10, 15), "server_max_window_bits was offered and is not accepted"},
      {"permessage-deflate; server_max_window_bits=11", bits(10, 15),
       "server_max_window_bits is more than was offered"},
      {"permessage-deflate; client_max_window_bits=13", bits(15, 12),
       "client_max_window_bits is more than was offered"},
      {"permessage-deflate; client_max_window_bits", kContext, "client_max_window_bits has a bad value"},
      {"permessage-deflate; client_max_window_bits=7", kContext, "client_max_window_bits has a bad value"},
      {"permessage-deflate; server_max_window_bits", kContext, "server_max_window_bits has a bad value"},
      {"permessage-deflate; server_max_window_bits=16", kContext, "server_max_window_bits has a bad value"},
      {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", kContext,
       "server_max_window_bits is given twice"},
      {"permessage-deflate; client_max_window_bits=9; client_max_window_bits=9", kContext,
       "client_max_window_bits is given twice"},
      {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", kContext,
       "server_no_context_takeover is given twice"},
      {"permessage-deflate; client_no_context_takeover=1", kContext,
       "client_no_context_takeover has a bad value"},
      {"permessage-deflate; foo=1", kContext, "the parameter foo does not exist"},
      {"permessage-deflate, permessage-deflate", kContext, "the server accepts it twice"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.answer);
    const DeflateAnswer answer = readDeflateAnswer(read(one.answer), one.options);
    const std::string told = answer.agreed          ? printed(*answer.agreed)
                             : answer.error.empty() ? "declined"
                                                    : answer.error;
    const bool isError = !answer.error.empty();
    CHECK(told == (isError ? "permessage-deflate: " : "") + std::string(one.expected));
  }
}

TEST_CASE("extensions: what a client offers and a server answers to it always fit") {
  int agreements = 0;
  for (int choice = 0; choice < 4096; ++choice) {
    const auto options = [](int from) {
      DeflateOptions made = bits(8 + (from >> 2) % 4 * 2 + 1, 8 + (from >> 4) % 4 * 2);
      made.serverNoContextTakeover = (from & 1) != 0;
      made.clientNoContextTakeover = (from & 2) != 0;
      return made;
    };
    const DeflateOptions ours = options(choice & 63);
    const auto accepted = acceptDeflate(read(offerDeflate(ours)), options(choice >> 6));
    REQUIRE(accepted.has_value());
    const DeflateAnswer answer = readDeflateAnswer(read(accepted->answer), ours);
    REQUIRE(answer.error == "");
    REQUIRE(answer.agreed == accepted->agreed);
    ++agreements;
  }
  CHECK(agreements == 4096);
}

TEST_CASE("extensions: options out of range are refused before anything is sent") {
  for (const auto& bad : {bits(7, 15), bits(16, 15), bits(15, 7), bits(15, 16)}) {
    CHECK_THROWS_AS(static_cast<void>(offerDeflate(bad)), std::invalid_argument);
    CHECK_THROWS_AS(static_cast<void>(acceptDeflate({}, bad)), std::invalid_argument);
  }
}
