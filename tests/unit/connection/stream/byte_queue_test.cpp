#include "connection/stream/byte_queue.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <utility>

using Workerman::Connection::detail::ByteQueue;

static_assert(sizeof(ByteQueue) == sizeof(void*));

TEST_CASE("byte queue: costs no memory while empty, frees it as soon as it is empty") {
  ByteQueue queue;
  CHECK(queue.empty());
  CHECK(queue.capacity() == 0);
  CHECK(queue.data() == nullptr);
  CHECK(queue.view().empty());
  queue.append("");
  CHECK(queue.capacity() == 0);
  queue.append("abc");
  CHECK(queue.view() == "abc");
  CHECK(queue.capacity() > 0);
  queue.consume(2);
  CHECK(queue.view() == "c");
  queue.consume(1);
  CHECK(queue.empty());
  CHECK(queue.capacity() == 0);
  queue.append("abc");
  queue.consume(100);
  CHECK(queue.capacity() == 0);
  queue.consume(1);
  CHECK(queue.empty());
}

TEST_CASE("byte queue: reserve gives room, commit makes data of it") {
  ByteQueue queue;
  char* room = queue.reserve(10);
  CHECK(queue.empty());
  CHECK(queue.tailRoom() >= 10);
  std::memcpy(room, "0123456789", 10);
  queue.commit(4);
  CHECK(queue.view() == "0123");
  queue.commit(0);
  CHECK(queue.size() == 4);
  CHECK(queue.reserve(1) == room + 4);
}

TEST_CASE("byte queue: grows to what is needed, or doubles, so that appending is linear") {
  ByteQueue queue;
  queue.reserve(10'000'000);
  CHECK(queue.capacity() == 10'000'000);
  queue.clear();
  std::size_t growths = 0;
  std::size_t capacity = 0;
  for (int i = 0; i < 100'000; ++i) {
    queue.append("0123456789");
    growths += queue.capacity() != capacity;
    capacity = queue.capacity();
  }
  CHECK(queue.size() == 1'000'000);
  CHECK(growths < 20);
  CHECK(capacity <= 2'000'000);
}

TEST_CASE("byte queue: a steady flow reuses its memory") {
  ByteQueue queue;
  queue.append("0");
  for (int i = 0; i < 100'000; ++i) {
    queue.append("0123456789");
    queue.consume(10);
  }
  CHECK(queue.size() == 1);
  CHECK(queue.capacity() < 1000);
}

TEST_CASE("byte queue: moves and swaps") {
  ByteQueue first;
  first.append("first");
  ByteQueue second = std::move(first);
  CHECK(first.empty());
  CHECK(second.view() == "first");
  first.append("other");
  first.swap(second);
  CHECK(first.view() == "first");
  CHECK(second.view() == "other");
  second = std::move(first);
  CHECK(second.view() == "first");
}

TEST_CASE("byte queue: an impossible size is refused, the data stays") {
  ByteQueue queue;
  queue.append("abc");
  CHECK_THROWS_AS(queue.reserve(SIZE_MAX - 1), std::bad_alloc);
  CHECK_THROWS_AS(queue.reserve(SIZE_MAX / 2), std::bad_alloc);
  CHECK(queue.view() == "abc");
}

TEST_CASE("byte queue: behaves as a string under random appends and consumes") {
  std::mt19937 random(20);
  ByteQueue queue;
  std::string model;
  bool isSame = true;
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t size = random() % (step % 100 == 0 ? 5000 : 60);
    if (random() % 2 == 0) {
      const std::string bytes(size, static_cast<char>('a' + step % 26));
      queue.append(bytes);
      model += bytes;
    } else {
      queue.consume(size);
      model.erase(0, size);
    }
    isSame = isSame && queue.view() == model;
  }
  CHECK(isSame);
}

TEST_CASE("byte queue: rewind forgets the bytes and keeps the memory") {
  ByteQueue queue;
  queue.rewind();
  CHECK(queue.empty());
  queue.append(std::string(10'000, 'x'));
  queue.consume(4'000);
  const std::size_t capacity = queue.capacity();
  queue.rewind();
  CHECK(queue.empty());
  CHECK(queue.capacity() == capacity);
  CHECK(queue.tailRoom() == capacity);
}
