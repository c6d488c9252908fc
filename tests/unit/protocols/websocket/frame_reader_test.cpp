#include <doctest/doctest.h>

#include "frame_fixture.h"

using namespace FrameTest;
using namespace std::string_literals;

namespace {

constexpr Role kRoles[] = {Role::Client, Role::Server};

/// Feeds `bytes` in two pieces at every cut, in single bytes and whole: always the same events.
void checkEveryCut(Role role, const std::string& bytes, const std::vector<Event>& expected,
                   std::size_t limit = 1 << 20) {
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    if (bytes.size() > 2000 && cut > 300 && cut + 300 < bytes.size() && cut % 4099 != 0) continue;
    Receiver receiver(role, limit);
    receiver.feed(std::string_view(bytes).substr(0, cut));
    receiver.feed(std::string_view(bytes).substr(cut));
    if (receiver.events != expected) {
      CAPTURE(cut);
      REQUIRE(receiver.events == expected);
    }
  }
  if (bytes.size() > 2000) return;
  Receiver bytewise(role, limit);
  for (const char byte : bytes) bytewise.feed({&byte, 1});
  CHECK(bytewise.events == expected);
}

std::string bytesOf(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

std::string unicode(std::size_t size) {
  std::string text;
  while (text.size() + 12 <= size)
    text +=
        "ab\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"
        "c";
  text.resize(size, 'z');
  return text;
}

}  // namespace

TEST_CASE("frame reader: every length boundary, text and binary, both roles, cut everywhere") {
  for (const Role role : kRoles) {
    for (const std::size_t length : {0, 1, 7, 15, 16, 17, 125, 126, 127, 128, 1024, 65535, 65536}) {
      CAPTURE(length);
      const std::string text = unicode(length);
      const std::string binary = bytesOf(length);
      checkEveryCut(role, frameTo(role, 0x81, text), {message(text)});
      checkEveryCut(role, frameTo(role, 0x82, binary), {message(binary, false)});
    }
  }
}

TEST_CASE("frame reader: an unfragmented message is a view of the buffer") {
  for (const Role role : kRoles) {
    for (const std::size_t length : {5, 200, 70000}) {
      std::string bytes = frameTo(role, 0x81, std::string(length, 'v'));
      FrameReader reader(role);
      const Step step = reader.next(bytes.data(), bytes.size(), 1 << 20);
      CHECK(step.kind == Step::Kind::Message);
      CHECK(step.payload.data() == bytes.data() + bytes.size() - length);
      CHECK(step.consumed == bytes.size());
      CHECK_FALSE(reader.midMessage());
    }
  }
}

TEST_CASE("frame reader: pipelined frames come one by one, the tail is kept") {
  for (const Role role : kRoles) {
    std::string bytes;
    std::vector<Event> expected;
    for (int i = 0; i < 20; ++i) {
      const std::string payload = bytesOf(static_cast<std::size_t>(i) * 9);
      bytes += frameTo(role, i % 5 == 4 ? 0x89 : 0x82, payload.substr(0, 125));
      expected.push_back(i % 5 == 4 ? ping(payload.substr(0, 125)) : message(payload.substr(0, 125), false));
    }
    checkEveryCut(role, bytes, expected);
    Receiver receiver(role);
    receiver.feed(bytes + bytes.substr(0, 1));
    CHECK(receiver.events == expected);
    CHECK(receiver.kept() == 1);
  }
}

TEST_CASE("frame reader: NeedMore says how large the frame is once its header is there") {
  const std::string bytes = frameTo(Role::Server, 0x82, std::string(1000, 'w'));
  Receiver receiver(Role::Server);
  for (std::size_t i = 0; i < bytes.size() - 1; ++i) {
    receiver.feed({bytes.data() + i, 1});
    REQUIRE(receiver.wanted == (i + 1 < 8 ? 0 : bytes.size()));
    REQUIRE(receiver.kept() == i + 1);
  }
  CHECK(receiver.reader.midMessage());
  receiver.feed({bytes.data() + bytes.size() - 1, 1});
  CHECK(receiver.events == std::vector{message(std::string(1000, 'w'), false)});
  CHECK(receiver.wanted == 0);
  CHECK_FALSE(receiver.reader.midMessage());
}

// -- fragments ------------------------------------------------------------------

TEST_CASE("frame reader: fragments are joined, of any number and size") {
  for (const Role role : kRoles) {
    for (const unsigned opcode : {1u, 2u}) {
      const std::string whole = opcode == 1 ? unicode(300) : bytesOf(300);
      for (const std::size_t size : {1, 2, 3, 50, 299}) {
        std::string bytes;
        for (std::size_t at = 0; at < whole.size(); at += size) {
          const bool first = at == 0;
          const bool last = at + size >= whole.size();
          bytes += frameTo(role, (first ? opcode : 0) | (last ? 0x80 : 0), whole.substr(at, size));
        }
        const std::string after = frameTo(role, 0x82, "next");
        Receiver receiver(role);
        receiver.feed(bytes + after);
        REQUIRE(receiver.events == std::vector{message(whole, opcode == 1), message("next", false)});
        if (size > 2)
          checkEveryCut(role, bytes + after, {message(whole, opcode == 1), message("next", false)});
      }
    }
  }
}

TEST_CASE("frame reader: empty fragments, first, middle, last and all") {
  for (const Role role : kRoles) {
    const auto joined = [role](std::initializer_list<std::string> parts) {
      std::string bytes;
      std::size_t i = 0;
      for (const std::string& part : parts) {
        bytes += frameTo(role, (i == 0 ? 1 : 0) | (i + 1 == parts.size() ? 0x80 : 0), part);
        ++i;
      }
      return bytes;
    };
    checkEveryCut(role, joined({"", "a"}), {message("a")});
    checkEveryCut(role, joined({"a", ""}), {message("a")});
    checkEveryCut(role, joined({"a", "", "b"}), {message("ab")});
    checkEveryCut(role, joined({"", "", ""}), {message("")});
    checkEveryCut(role, joined({"", ""}) + frameTo(role, 0x81, "x"), {message(""), message("x")});
  }
}

TEST_CASE(
    "frame reader: control frames between fragments come at once and change nothing (RFC 6455 section 5.4)") {
  for (const Role role : kRoles) {
    const std::string bytes = frameTo(role, 0x01, "Hel") + frameTo(role, 0x89, "are you there") +
                              frameTo(role, 0x00, "lo ") + frameTo(role, 0x8A, "") +
                              frameTo(role, 0x80, "you");
    checkEveryCut(role, bytes, {ping("are you there"), pong(""), message("Hello you")});
    const std::string ended = frameTo(role, 0x01, "Hel") + frameTo(role, 0x88, "\x03\xE9");
    checkEveryCut(role, ended, {closed(1001)});
  }
}

TEST_CASE("frame reader: the order of fragments is checked") {
  const std::string alone = "continuation frame without a message to continue";
  const std::string inside = "new message before the end of the fragmented one";
  for (const Role role : kRoles) {
    checkEveryCut(role, frameTo(role, 0x80, "x"), {violation(1002, alone)});
    checkEveryCut(role, frameTo(role, 0x81, "x") + frameTo(role, 0x80, "y"),
                  {message("x"), violation(1002, alone)});
    checkEveryCut(role, frameTo(role, 0x01, "x") + frameTo(role, 0x81, "y"), {violation(1002, inside)});
    checkEveryCut(role, frameTo(role, 0x01, "x") + frameTo(role, 0x80, "y") + frameTo(role, 0x80, "z"),
                  {message("xy"), violation(1002, alone)});
  }
}

TEST_CASE("frame reader: an illegal frame does not swallow the legal ones before it") {
  for (const Role role : kRoles) {
    checkEveryCut(role,
                  frameTo(role, 0x81, "one") + frameTo(role, 0x89, "two") + frameTo(role, 0xF2, "three"),
                  {message("one"), ping("two"), violation(1002, "reserved bit RSV2 is set")});
  }
}

// -- limits -----------------------------------------------------------------------

TEST_CASE("frame reader: exactly maxPackageSize passes, one byte more is 1009 before any payload") {
  const Event tooBig = violation(1009, "message is longer than maxPackageSize");
  for (const Role role : kRoles) {
    for (const std::size_t limit : {1, 100, 125, 126, 1000, 65535, 65536}) {
      CAPTURE(limit);
      const std::string fits = bytesOf(limit);
      CHECK(eventsOf(role, frameTo(role, 0x82, fits), limit) == std::vector{message(fits, false)});
      CHECK(eventsOf(role, frameTo(role, 0x82, fits.substr(1)), limit) ==
            std::vector{message(fits.substr(1), false)});
      const std::string beyond = frameTo(role, 0x82, fits + "x");
      CHECK(eventsOf(role, beyond, limit) == std::vector{tooBig});
      const std::size_t lengthEnd = 2 + (limit + 1 < 126 ? 0 : limit + 1 <= 65535 ? 2 : 8);
      CHECK(eventsOf(role, beyond.substr(0, lengthEnd), limit) == std::vector{tooBig});
    }
  }
}

TEST_CASE("frame reader: the limit holds for the sum of the fragments, as soon as a header breaks it") {
  const Event tooBig = violation(1009, "message is longer than maxPackageSize");
  for (const Role role : kRoles) {
    const std::string start = frameTo(role, 0x02, std::string(60, 'a'));
    const std::string rest = std::string(40, 'b');
    CHECK(eventsOf(role, start + frameTo(role, 0x80, rest), 100) ==
          std::vector{message(std::string(60, 'a') + rest, false)});
    CHECK(eventsOf(role, start + frameTo(role, 0x80, rest), 99) == std::vector{tooBig});
    CHECK(eventsOf(role, start + frameTo(role, 0x80, rest).substr(0, 2), 99) == std::vector{tooBig});
    // An empty fragment still fits when the limit is reached, and control frames do not count.
    CHECK(eventsOf(role, start + frameTo(role, 0x89, "12345") + frameTo(role, 0x80, ""), 60) ==
          std::vector{ping("12345"), message(std::string(60, 'a'), false)});
  }
}

TEST_CASE("frame reader: small pipelined messages never add up to the limit") {
  std::string bytes;
  for (int i = 0; i < 50; ++i) bytes += frameTo(Role::Server, 0x82, "0123456789");
  CHECK(eventsOf(Role::Server, bytes, 10).size() == 50);
}

// -- UTF-8 ------------------------------------------------------------------------

TEST_CASE("frame reader: invalid text is 1007, cut anywhere, whole or in fragments (RFC 6455 section 8.1)") {
  const Event bad = violation(1007, "text is not valid UTF-8");
  const std::string texts[] = {"\xFF",
                               "ok \xC0\xAF",
                               "\xED\xA0\x80",
                               "\xF4\x90\x80\x80",
                               "cut \xE2\x82",
                               "a long enough text for the wide kernel and then\x80"s,
                               std::string(200, 'x') + "\xE2\x28\xA1" + std::string(200, 'y')};
  for (const Role role : kRoles) {
    for (const std::string& text : texts) {
      CAPTURE(text);
      checkEveryCut(role, frameTo(role, 0x81, text), {bad});
      for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        const std::string bytes = frameTo(role, 0x01, text.substr(0, cut)) + frameTo(role, 0x89, "p") +
                                  frameTo(role, 0x80, text.substr(cut));
        Receiver receiver(role);
        receiver.feed(bytes);
        REQUIRE(receiver.events.back() == bad);
      }
    }
    CHECK(eventsOf(role, frameTo(role, 0x82, "\xFF")) == std::vector{message("\xFF", false)});
  }
}

TEST_CASE("frame reader: a character may be cut by fragments, not by the end of the message") {
  for (const Role role : kRoles) {
    const std::string text = "\xF0\x9F\x98\x80";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      checkEveryCut(role, frameTo(role, 0x01, text.substr(0, cut)) + frameTo(role, 0x80, text.substr(cut)),
                    {message(text)});
    }
    CHECK(eventsOf(role, frameTo(role, 0x01, "\xF0\x9F") + frameTo(role, 0x80, "\x98")) ==
          std::vector{violation(1007, "text is not valid UTF-8")});
    // The state of one message is not carried into the next.
    CHECK(eventsOf(role, frameTo(role, 0x01, "\xC3") + frameTo(role, 0x80, "\xA9") +
                             frameTo(role, 0x81, "ok")) == std::vector{message("\xC3\xA9"), message("ok")});
  }
}

TEST_CASE("frame reader: text fails at its first bad byte, before the rest of frame or message has come") {
  for (const Role role : kRoles) {
    const std::string text = std::string(500, 'a') + "\xFF" + std::string(60000, 'b');
    const std::string bytes = frameTo(role, 0x81, text);
    const std::size_t bad = bytes.size() - text.size() + 500;
    Receiver receiver(role);
    for (std::size_t i = 0; i < bad; ++i) REQUIRE(receiver.feed({bytes.data() + i, 1}));
    CHECK(receiver.events.empty());
    CHECK_FALSE(receiver.feed({bytes.data() + bad, 1}));
    CHECK(receiver.events == std::vector{violation(1007, "text is not valid UTF-8")});

    Receiver fragmented(role);
    CHECK(fragmented.feed(frameTo(role, 0x01, "fine ")));
    CHECK_FALSE(fragmented.feed(frameTo(role, 0x00, "bad \xC3(")));
    CHECK(fragmented.events == std::vector{violation(1007, "text is not valid UTF-8")});
  }
}

// -- compressed -------------------------------------------------------------------

TEST_CASE(
    "frame reader: RSV1 marks a compressed message, whose text is left to be checked later (RFC 7692)") {
  for (const Role role : kRoles) {
    Receiver receiver(role, 1 << 20, true);
    receiver.feed(frameTo(role, 0xC1, "\xFF\xFE") + frameTo(role, 0x41, "\xFF") + frameTo(role, 0x89, "") +
                  frameTo(role, 0x80, "\xC0") + frameTo(role, 0x81, "plain") + frameTo(role, 0xC2, "x"));
    const auto deflated = [](std::string payload, bool text) {
      return Event{Step::Kind::Message, std::move(payload), text, true, 0};
    };
    CHECK(receiver.events == std::vector{deflated("\xFF\xFE", true), ping(""), deflated("\xFF\xC0", true),
                                         message("plain"), deflated("x", false)});
    CHECK_FALSE(receiver.feed(frameTo(role, 0x81, "\xFF")));
    CHECK(receiver.events.back() == violation(1007, "text is not valid UTF-8"));
  }
}

TEST_CASE("frame reader: a compressed message may exceed the limit by what deflate adds, and no more") {
  for (const Role role : kRoles) {
    const std::size_t limit = 10000;
    for (const std::size_t size : {limit, limit + 50, limit + 20000}) {
      Receiver whole(role, limit, true);
      whole.feed(frameTo(role, 0xC2, bytesOf(size)));
      CHECK((whole.events.at(0).kind == Step::Kind::Message) == (size < limit + 20000));
      Receiver parts(role, limit, true);
      parts.feed(frameTo(role, 0x42, bytesOf(size / 2)) + frameTo(role, 0x80, bytesOf(size - size / 2)));
      CHECK((parts.events.at(0).kind == Step::Kind::Message) == (size < limit + 20000));
    }
  }
}

// -- cost -------------------------------------------------------------------------

TEST_CASE("frame reader: stays small, since every connection has one") {
  CHECK(sizeof(FrameReader) <= 32);
}

TEST_CASE("frame reader: the arrived part of a frame is unmasked once, however often more arrives") {
  // Were it done again, the mask would be back on and the text wrong; and the work quadratic.
  const std::string text = unicode(3000);
  const std::string bytes = frame(text);
  std::string buffer = bytes;
  FrameReader reader(Role::Server);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Step step = reader.next(buffer.data(), size, 1 << 20);
    REQUIRE(step.kind == Step::Kind::NeedMore);
    REQUIRE(step.consumed == 0);
  }
  const Step step = reader.next(buffer.data(), buffer.size(), 1 << 20);
  CHECK(step.kind == Step::Kind::Message);
  CHECK(step.payload == text);
}
