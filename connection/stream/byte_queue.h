#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace Workerman::Connection::detail {

/// Bytes in arrival order: appended at the end, consumed at the front. One pointer while empty.
///
/// Consuming advances an offset; bytes move only when room is needed and at least as many were
/// consumed as are left, so that every byte is moved a bounded number of times. The block is freed
/// as soon as the queue is empty. Nothing is zeroed. Pointers and views into it are valid until the
/// next call that is not const.
class ByteQueue {
 public:
  ByteQueue() noexcept = default;
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;
  ByteQueue(ByteQueue&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  ByteQueue& operator=(ByteQueue&& other) noexcept {
    swap(other);
    return *this;
  }
  ~ByteQueue() { std::free(block_); }

  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return block_ == nullptr ? 0 : block_->end - block_->begin; }
  /// Null while nothing was ever stored or reserved.
  char* data() noexcept { return block_ == nullptr ? nullptr : bytes() + block_->begin; }
  const char* data() const noexcept { return const_cast<ByteQueue*>(this)->data(); }
  std::string_view view() const noexcept { return {data(), size()}; }
  /// Bytes that fit behind the end without moving anything.
  std::size_t tailRoom() const noexcept { return block_ == nullptr ? 0 : block_->capacity - block_->end; }
  /// Bytes of heap memory held for data.
  std::size_t capacity() const noexcept { return block_ == nullptr ? 0 : block_->capacity; }

  /// Copies `bytes`, which must not lie in this queue. @throws std::bad_alloc
  void append(std::string_view bytes) {
    if (!bytes.empty()) {
      std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
      commit(bytes.size());
    }
  }

  /// Room for at least `count` bytes behind the end, uninitialised; `tailRoom()` tells how many.
  /// Memory grows to what is needed or to twice what it was, whichever is more.
  /// @throws std::bad_alloc
  char* reserve(std::size_t count) {
    if (block_ == nullptr || tailRoom() < count) {
      makeRoom(count);
    }
    return bytes() + block_->end;
  }

  /// The first `count` bytes of what `reserve` returned are data now; at most `tailRoom()`.
  void commit(std::size_t count) noexcept {
    if (block_ != nullptr) {
      block_->end += count;
    }
  }

  /// Forgets the first `count` bytes; all of them when there are fewer.
  void consume(std::size_t count) noexcept {
    if (count >= size()) {
      clear();
    } else {
      block_->begin += count;
    }
  }

  /// Forgets everything and frees the memory.
  void clear() noexcept {
    std::free(block_);
    block_ = nullptr;
  }

  /// Forgets everything and keeps the memory.
  void rewind() noexcept {
    if (block_ != nullptr) block_->begin = block_->end = 0;
  }

  void swap(ByteQueue& other) noexcept { std::swap(block_, other.block_); }

 private:
  /// Stands in front of the bytes.
  struct Block {
    std::size_t begin;
    std::size_t end;
    std::size_t capacity;
  };
  static constexpr std::size_t kSmallest = 104;  // with Block in front: a 128-byte piece of malloc

  char* bytes() const noexcept { return reinterpret_cast<char*>(block_ + 1); }
  void makeRoom(std::size_t count);

  Block* block_ = nullptr;
};

inline void ByteQueue::makeRoom(std::size_t count) {
  const std::size_t used = size();
  if (count > SIZE_MAX / 4 - used) {
    throw std::bad_alloc();
  }
  const std::size_t needed = used + count;
  if (block_ != nullptr && block_->begin > 0 && block_->begin >= used) {
    std::memmove(bytes(), data(), used);
    block_->begin = 0;
    block_->end = used;
    if (needed <= block_->capacity) {
      return;
    }
  }
  const std::size_t front = block_ == nullptr ? 0 : block_->begin;
  const std::size_t doubled = capacity() * 2;
  std::size_t wanted = front + needed > doubled ? front + needed : doubled;
  wanted = wanted < kSmallest ? kSmallest : wanted;
  auto* grown = static_cast<Block*>(std::realloc(block_, sizeof(Block) + wanted));
  if (grown == nullptr) {
    throw std::bad_alloc();
  }
  if (block_ == nullptr) {
    grown->begin = grown->end = 0;
  }
  grown->capacity = wanted;
  block_ = grown;
}

}  // namespace Workerman::Connection::detail
