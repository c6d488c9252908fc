#pragma once

/// `$worker->connections` and `TcpConnection::$connections`.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

#include "fwd.h"

namespace Workerman {

/// A map-like view of this thread's TCP connections, by ascending id: all of
/// them, or those that a worker accepted. Closing any of them while iterating
/// is safe: what is gone is skipped, what is new may or may not be met.
class ConnectionView {
 public:
  using key_type = std::int64_t;
  using mapped_type = Connection::TcpConnectionPtr;
  using value_type = std::pair<key_type, mapped_type>;

  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = ConnectionView::value_type;
    using pointer = value_type*;
    using reference = value_type&;

    iterator() = default;
    reference operator*() const noexcept { return entry_; }
    pointer operator->() const noexcept { return &entry_; }
    iterator& operator++();
    iterator operator++(int) {
      iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const iterator& a, const iterator& b) noexcept {
      return a.entry_.second == b.entry_.second;
    }

   private:
    friend class ConnectionView;
    iterator(const Worker* worker, key_type atLeast);

    const Worker* worker_ = nullptr;
    mutable value_type entry_{0, nullptr};
  };
  using const_iterator = iterator;

  /// `worker` null: all connections of the thread.
  constexpr explicit ConnectionView(const Worker* worker = nullptr) noexcept : worker_(worker) {}
  ConnectionView(const ConnectionView&) = delete;
  ConnectionView& operator=(const ConnectionView&) = delete;

  iterator begin() const { return iterator(worker_, INT64_MIN); }
  iterator end() const { return {}; }
  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }
  /// end() if there is none of this id.
  iterator find(key_type id) const;
  bool contains(key_type id) const { return find(id) != end(); }
  std::size_t count(key_type id) const { return contains(id) ? 1 : 0; }
  /// @throws std::out_of_range naming the id.
  mapped_type at(key_type id) const;

 private:
  const Worker* worker_;
};

}  // namespace Workerman
