#include "protocols/websocket/deflate.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocols/websocket/compression.h"

using namespace Workerman::Protocols::detail;
using namespace std::string_literals;

namespace {

const std::string kTail = "\x00\x00\xFF\xFF"s;
const std::size_t kSizes[] = {0, 1, 2, 125, 126, 127, 65535, 65536, 1 << 20};

/// Text that compresses, with repetitions near and far.
std::string text(std::size_t size) {
  std::mt19937 random(7);
  std::string made;
  while (made.size() < size) {
    const std::size_t back = made.empty() ? 0 : random() % std::min<std::size_t>(made.size(), 40000);
    const std::size_t count = 1 + random() % 40;
    for (std::size_t i = 0; i < count; ++i) {
      made += back > count && random() % 8 != 0 ? made[made.size() - back]
                                                : static_cast<char>('a' + random() % 26);
    }
  }
  made.resize(size);
  return made;
}

std::string noise(std::size_t size) {
  std::mt19937 random(11);
  std::string made(size, '\0');
  for (char& c : made) c = static_cast<char>(random());
  return made;
}

std::string packed(Deflater& deflater, std::string_view payload) {
  std::string out;
  return std::string(deflater.compress(payload, out));
}

std::string shared(std::string_view payload, int bits = 15) {
  std::string out;
  return std::string(compressShared(payload, bits, out));
}

/// The inflated message, or what was wrong with it.
std::string inflated(Inflater& inflater, std::string_view message, std::size_t limit = 16 << 20,
                     bool isText = false) {
  InflateBuffer out;
  switch (inflater.inflate(message, limit, isText, out)) {
    case Inflated::Whole:
      return std::string(out.view());
    case Inflated::TooLong:
      return "(too long)";
    case Inflated::BadData:
      return "(bad data)";
    case Inflated::Unfinished:
      return "(unfinished)";
    case Inflated::BadText:
      break;
  }
  return "(bad text)";
}

std::string inflated(std::string_view message, std::size_t limit = 16 << 20, bool isText = false) {
  Inflater inflater;
  return inflated(inflater, message, limit, isText);
}

/// As a peer does it who has really no more memory than the window: one byte at a time.
class SmallPeer {
 public:
  explicit SmallPeer(int bits) { REQUIRE(inflateInit2(&stream_, -bits) == Z_OK); }
  SmallPeer(const SmallPeer&) = delete;
  SmallPeer& operator=(const SmallPeer&) = delete;
  ~SmallPeer() { inflateEnd(&stream_); }
  std::string read(std::string message) {
    message += kTail;
    stream_.next_in = reinterpret_cast<Bytef*>(message.data());
    stream_.avail_in = static_cast<uInt>(message.size());
    std::string out;
    for (;;) {
      Bytef byte;
      stream_.next_out = &byte;
      stream_.avail_out = 1;
      const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
      if (stream_.avail_out != 0) return result == Z_OK || result == Z_BUF_ERROR ? out : "(bad data)";
      out += static_cast<char>(byte);
    }
  }

 private:
  z_stream stream_{};
};

}  // namespace

TEST_CASE("deflate: every size comes back, with every window, with and without a context") {
  for (int bits = kMinWindowBits; bits <= kMaxWindowBits; ++bits) {
    CAPTURE(bits);
    Deflater deflater({bits, 6, 8});
    Inflater inflater(bits);
    SmallPeer small(bits), fresh(bits);
    for (const std::size_t size : kSizes) {
      CAPTURE(size);
      for (const std::string& payload : {text(size), noise(size), std::string(size, 'x')}) {
        const std::string message = packed(deflater, payload);
        CHECK(message.size() <= size + size / 256 + 64);
        CHECK(message.size() >= 1);
        CHECK(inflated(inflater, message) == payload);
        const std::string alone = shared(payload, bits);
        CHECK(inflated(alone) == payload);
        if (size > 65536) continue;
        CHECK(small.read(message) == payload);
        CHECK(fresh.read(alone) == payload);
      }
    }
  }
}

TEST_CASE("deflate: levels and memory levels, and what zlib refuses") {
  const std::string payload = text(100000);
  for (const DeflateSettings& settings :
       {DeflateSettings{15, 0, 8}, DeflateSettings{15, -1, 8}, DeflateSettings{9, 1, 1},
        DeflateSettings{12, 9, 9}, DeflateSettings{8, 1, 1}}) {
    Deflater deflater(settings);
    CHECK(deflater.settings() == settings);
    CHECK(inflated(packed(deflater, payload)) == payload);
  }
  for (const DeflateSettings& bad :
       {DeflateSettings{7, 6, 8}, DeflateSettings{16, 6, 8}, DeflateSettings{15, 10, 8},
        DeflateSettings{15, -2, 8}, DeflateSettings{15, 6, 0}, DeflateSettings{15, 6, 10}}) {
    CHECK_THROWS_AS(Deflater{bad}, std::invalid_argument);
  }
  CHECK_THROWS_AS(Inflater(16), std::invalid_argument);
}

TEST_CASE("deflate: the examples of RFC 7692 section 7.2.3") {
  struct Case {
    const char* what;
    std::string message;
    std::string payload;
  };
  const Case cases[] = {
      {"7.2.3.1 one block", "\xf2\x48\xcd\xc9\xc9\x07\x00"s, "Hello"},
      {"7.2.3.1 two fragments", "\xf2\x48\xcd"s + "\xc9\xc9\x07\x00"s, "Hello"},
      {"7.2.3.3 no compression", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s, "Hello"},
      {"7.2.3.4 BFINAL", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s, "Hello"},
      {"7.2.3.5 two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s, "Hello"},
      {"7.2.3.6 empty", "\x00"s, ""},
      {"BFINAL without an empty block behind it", "\xf3\x48\xcd\xc9\xc9\x07\x00"s, "Hello"},
      {"an empty final block", "\x03\x00"s, ""},
      {"no bytes", "", ""},
  };
  for (const Case& one : cases) {
    CAPTURE(one.what);
    CHECK(inflated(one.message) == one.payload);
  }
  Inflater inflater;
  for (const Case& one : cases) CHECK(inflated(inflater, one.message) == one.payload);
  // 7.2.3.2: the second message refers to the first.
  CHECK(inflated(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00"s) == "Hello");
  CHECK(inflated(inflater, "\xf2\x00\x11\x00\x00"s) == "Hello");
  Deflater deflater({15, 6, 8});
  CHECK(packed(deflater, "Hello") == "\xf2\x48\xcd\xc9\xc9\x07\x00"s);
  CHECK(packed(deflater, "Hello") == "\xf2\x00\x11\x00\x00"s);
  CHECK(packed(deflater, "") == "\x00"s);
  CHECK(packed(deflater, "") == "\x00"s);
}

TEST_CASE("deflate: a context makes what was seen before short, until it is broken on both sides") {
  const std::string payload = noise(3000);
  Deflater deflater({15, 6, 8});
  Inflater inflater;
  const std::string first = packed(deflater, payload);
  const std::string second = packed(deflater, payload);
  CHECK(second.size() < 100);
  CHECK(inflated(inflater, first) == payload);
  CHECK(inflated(inflater, second) == payload);
  CHECK(inflated(second) == "(bad data)");
  // One that another compressor made, as for a broadcast: then ours has to start afresh.
  CHECK(inflated(inflater, shared("something else that is long enough to compress, and something else"))
            .size() == 66);
  deflater.reset();
  const std::string third = packed(deflater, payload);
  CHECK(third.size() > 3000);
  CHECK(inflated(inflater, third) == payload);
  CHECK(inflated(inflater, packed(deflater, payload)) == payload);
}

TEST_CASE("deflate: behind a final block the window goes on (RFC 7692 section 7.2.3.4)") {
  const std::string payload = noise(500);
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  const auto finish = [&stream](const std::string& bytes) {
    std::string out(2000, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(out.size() - stream.avail_out);
    return out;
  };
  const std::string first = finish(payload);
  deflateReset(&stream);
  deflateSetDictionary(&stream, reinterpret_cast<const Bytef*>(payload.data()), 500);
  const std::string second = finish(payload);
  deflateEnd(&stream);
  REQUIRE(second.size() < 50);
  Inflater inflater;
  CHECK(inflated(inflater, first + '\0') == payload);
  CHECK(inflated(inflater, second + '\0') == payload);
  CHECK(inflated(inflater, second + second + '\0') == payload + payload);
  std::string many;
  for (int i = 0; i < 200000; ++i) many += "\x03\x00"s;
  CHECK(inflated(inflater, many + second) == payload);
}

TEST_CASE("deflate: the limit is exact, and no more memory than that is taken") {
  const std::string payload = text(100000);
  const std::string message = shared(payload);
  for (const std::size_t limit : {0u, 1u, 511u, 512u, 513u, 65535u, 65536u, 99999u, 100000u, 100001u}) {
    CAPTURE(limit);
    InflateBuffer out;
    const Inflated result = inflateShared(message, limit, true, out);
    CHECK(result == (limit < payload.size() ? Inflated::TooLong : Inflated::Whole));
    CHECK(out.capacity() <= limit);
    if (result == Inflated::Whole) CHECK(out.view() == payload);
  }
  CHECK(inflated(shared(""), 0) == "");
}

TEST_CASE("deflate: a bomb of 1 GiB stops at the limit") {
  const std::string piece = shared(std::string(1 << 20, '\0')) + kTail;
  std::string bomb;
  for (int i = 0; i < 1024; ++i) bomb += piece;
  REQUIRE(bomb.size() < 2 << 20);
  InflateBuffer out;
  CHECK(inflateShared(bomb, 10 << 20, false, out) == Inflated::TooLong);
  CHECK(out.capacity() <= 10 << 20);
  CHECK(inflateShared("\x00"s, 10, false, out) == Inflated::Whole);
}

TEST_CASE("deflate: what is cut off or is no DEFLATE is found out") {
  const std::string payload = text(2000);
  const std::string message = shared(payload);
  int whole = 0;
  for (std::size_t size = 1; size < message.size(); ++size) {
    whole += inflated(message.substr(0, size)) == payload;
    CHECK(inflated(std::string_view(message).substr(size), 4000).size() <= 4000);
  }
  CHECK(whole == 0);
  const std::string bad[] = {
      "\x07"s,                      // the third kind of block does not exist
      "\x00\x05\x00\xfa\xfe"s,      // a length that is not its complement
      "\x00\x05\x00\xfa\xff\x48"s,  // the tail ends inside a block
      "\x04"s,                      // a dynamic block without its tables
      "\xf2\x48\xcd\xc9\xc9"s,      // no end of block
      "\xf2\x00\x11\x00\x00"s,      // refers to what was never there
      "\xff\xff\xff\xff"s,
  };
  for (const auto& one : bad) CHECK(inflated(one) == "(bad data)");
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string garbage = noise(1 + random() % 60);
    for (char& c : garbage) c = static_cast<char>(c ^ static_cast<char>(random()));
    CHECK(inflated(garbage, 1000, true).size() <= 1000);
  }
}

TEST_CASE("deflate: text that is no UTF-8 fails at its first bad byte, binary never") {
  struct Case {
    std::string payload;
    bool isGood;
  };
  const Case cases[] = {
      {"\xce\xba\xe2\x82\xac\xf0\x9f\x98\x80", true},
      {"\xff", false},
      {"\xe2\x82", false},
      {"a\xed\xa0\x80", false},
      {text(70000) + "\xe2\x82\xac" + text(70000), true},
      {text(65535) + "\xe2\x82", false},
  };
  for (const Case& one : cases) {
    CHECK(inflated(shared(one.payload), 1 << 20, true) == (one.isGood ? one.payload : "(bad text)"));
    CHECK(inflated(shared(one.payload), 1 << 20, false) == one.payload);
  }
  InflateBuffer out;
  CHECK(inflateShared(shared("\xc0" + std::string(8 << 20, 'x')), 16 << 20, true, out) == Inflated::BadText);
  CHECK(out.view().size() <= 64 * 1024);
}

TEST_CASE("deflate: a connection without context takes a few bytes") {
  CHECK(sizeof(Compression) <= 32);
}
