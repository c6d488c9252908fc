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

  /// The connections without their ids, in the same order.
  class Values {
   public:
    class iterator {
     public:
      using iterator_category = std::input_iterator_tag;
      using difference_type = std::ptrdiff_t;
      using value_type = mapped_type;
      using pointer = value_type*;
      using reference = value_type&;

      iterator() = default;
      reference operator*() const noexcept { return entry_->second; }
      pointer operator->() const noexcept { return &entry_->second; }
      iterator& operator++() {
        ++entry_;
        return *this;
      }
      iterator operator++(int) {
        iterator before = *this;
        ++entry_;
        return before;
      }
      friend bool operator==(const iterator&, const iterator&) noexcept = default;

     private:
      friend class Values;
      explicit iterator(ConnectionView::iterator entry) : entry_(std::move(entry)) {}
      ConnectionView::iterator entry_;
    };

    iterator begin() const { return iterator(ConnectionView(worker_).begin()); }
    iterator end() const { return {}; }
    std::size_t size() const noexcept { return ConnectionView(worker_).size(); }
    bool empty() const noexcept { return size() == 0; }

   private:
    friend class ConnectionView;
    explicit Values(const Worker* worker) noexcept : worker_(worker) {}
    const Worker* worker_;
  };

  /// `worker` null: all connections of the thread.
  constexpr explicit ConnectionView(const Worker* worker = nullptr) noexcept : worker_(worker) {}
  ConnectionView(const ConnectionView&) = delete;
  ConnectionView& operator=(const ConnectionView&) = delete;

  iterator begin() const { return iterator(worker_, INT64_MIN); }
  iterator end() const { return {}; }
  /// PHP's `foreach ($worker->connections as $connection)`: `for (auto& connection : connections.values())`.
  Values values() const noexcept { return Values(worker_); }
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
