// The life of a callback: sharing, replacing itself, releasing what it captured, exceptions.

#include "core/callback.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "callback_fakes.h"

using namespace Workerman;
using fakes::AsyncPtr;
using fakes::TcpPtr;

namespace {

int called = 0;
void plainFunction(int number) {
  called = number;
}
void plainNoexcept() noexcept {
  called = -1;
}
struct Owner {
  static void staticMethod(int number) { called = number * 2; }
  int seen = 0;
  void method(int number) { seen = number; }
};
struct Functor {
  int* count;
  void operator()(int number) const { *count += number; }
};

}  // namespace

TEST_CASE("callback: one pointer in size, on a connection and seen from a derived class") {
  CHECK(sizeof(MessageCallback) == sizeof(void*));
  CHECK(sizeof(AsyncTcpMessageCallback) == sizeof(void*));
  CHECK(sizeof(WorkerCallback) == sizeof(void*));
}

TEST_CASE("callback: moves and swaps without throwing") {
  CHECK(std::is_nothrow_move_constructible_v<MessageCallback>);
  CHECK(std::is_nothrow_move_assignable_v<MessageCallback>);
  CHECK(std::is_nothrow_swappable_v<MessageCallback>);
}

TEST_CASE("callback: calling an empty one does nothing") {
  NumberCallback callback;
  callback(1);
  MasterCallback nothing = nullptr;
  nothing();
  CHECK_FALSE(callback);
  CHECK(callback == nullptr);
  CHECK(callback.wants() == nullptr);
  CHECK(callback.handleKind() == HandleKind::any);
}

TEST_CASE("callback: takes every kind of callable") {
  int count = 0;
  Owner owner;
  std::function<void(int)> standard = [&](int number) { count += number; };
  Functor functor{&count};
  NumberCallback other = [&](int number) { count += 10 * number; };

  NumberCallback callback = plainFunction;
  callback(3);
  CHECK(called == 3);
  callback = &plainFunction;
  callback(4);
  CHECK(called == 4);
  callback = plainNoexcept;
  callback(4);
  CHECK(called == -1);
  callback = &Owner::staticMethod;
  callback(5);
  CHECK(called == 10);
  callback = functor;
  callback(1);
  CHECK(count == 1);
  callback = std::as_const(functor);
  callback(1);
  CHECK(count == 2);
  callback = standard;
  callback(1);
  CHECK(count == 3);
  callback = std::bind_front(&Owner::method, &owner);
  callback(6);
  CHECK(owner.seen == 6);
  callback = std::bind(&Owner::method, &owner, std::placeholders::_1);
  callback(7);
  CHECK(owner.seen == 7);
  callback = std::ref(functor);
  callback(1);
  CHECK(count == 4);
  callback = other;
  callback(1);
  CHECK(count == 14);
  callback = [n = 0, &count](int) mutable { count = 100 + ++n; };
  callback(1);
  callback(1);
  CHECK(count == 102);
  callback = [](int number) { return "ignored" + std::to_string(number); };
  callback(1);
}

TEST_CASE("callback: another kind of callback is a callable like any other") {
  int sum = 0;
  NumberCallback number = [&](int n) { sum += n; };
  ErrorCallback onError = [number](auto, int code) { number(code); };
  onError(nullptr, 4, "text");
  CHECK(sum == 4);
  MasterCallback master = [&] { ++sum; };
  number = master;
  number(100);
  CHECK(sum == 5);
}

TEST_CASE("callback: an empty callable empties it") {
  NumberCallback callback = plainFunction;
  callback = std::function<void(int)>();
  CHECK_FALSE(callback);
  callback = plainFunction;
  callback = static_cast<void (*)(int)>(nullptr);
  CHECK_FALSE(callback);
  callback = plainFunction;
  callback = NumberCallback();
  CHECK_FALSE(callback);
  callback = plainFunction;
  callback = MasterCallback();
  CHECK_FALSE(callback);
  callback = plainFunction;
  callback = {};
  CHECK_FALSE(callback);
  callback = plainFunction;
  CHECK(callback);
  callback = nullptr;
  CHECK_FALSE(callback);
}

TEST_CASE("callback: copies share the callable and its state") {
  int last = 0;
  NumberCallback first = [&last, n = 0](int) mutable { last = ++n; };
  NumberCallback second = first;
  first(0);
  second(0);
  CHECK(last == 2);
  NumberCallback third = std::move(first);
  CHECK_FALSE(first);  // NOLINT: moved from is empty
  third(0);
  CHECK(last == 3);
  const NumberCallback& itself = second;
  second = itself;
  second(0);
  CHECK(last == 4);
}

TEST_CASE("callback: swap exchanges the callables") {
  int last = 0;
  NumberCallback one = [&](int) { last = 1; };
  NumberCallback two = [&](int) { last = 2; };
  swap(one, two);
  one(0);
  CHECK(last == 2);
  two(0);
  CHECK(last == 1);
}

TEST_CASE("callback: captures what can only be moved") {
  int seen = 0;
  NumberCallback callback = [&seen, owned = std::make_unique<int>(7)](int) { seen = *owned; };
  NumberCallback copy = callback;
  callback = nullptr;
  copy(0);
  CHECK(seen == 7);
}

TEST_CASE("callback: releases its captures when it is emptied, replaced or destroyed") {
  auto captured = std::make_shared<int>(1);
  NumberCallback callback = [captured] {};
  CHECK(captured.use_count() == 2);
  callback = nullptr;
  CHECK(captured.use_count() == 1);
  callback = [captured] {};
  callback = [] {};
  CHECK(captured.use_count() == 1);
  {
    NumberCallback scoped = [captured] {};
    NumberCallback copy = scoped;
    scoped = nullptr;
    CHECK(captured.use_count() == 2);
  }
  CHECK(captured.use_count() == 1);
}

TEST_CASE("callback: lives until it returns when it empties, replaces or frees its own slot") {
  auto captured = std::make_shared<int>(1);
  int runs = 0;

  NumberCallback callback;
  SUBCASE("emptied") {
    callback = [&, captured](int) {
      callback = nullptr;
      CHECK(captured.use_count() == 2);
      runs += *captured;
    };
    callback(0);
    CHECK_FALSE(callback);
  }
  SUBCASE("replaced") {
    callback = [&, captured](int) {
      callback = [&](int) { runs += 10; };
      CHECK(captured.use_count() == 2);
      runs += *captured;
    };
    callback(0);
    CHECK(captured.use_count() == 1);
    callback(0);
    CHECK(runs == 11);
    runs = 1;
  }
  SUBCASE("its owner freed") {
    auto owner = std::make_unique<NumberCallback>();
    *owner = [&, captured](int) {
      owner.reset();
      runs += *captured;
    };
    (*owner)(0);
  }
  SUBCASE("calling itself first") {
    callback = [&, captured](int depth) {
      if (depth > 0) callback(depth - 1);
      callback = nullptr;
      runs = *captured;
    };
    callback(3);
  }
  CHECK(runs == 1);
  CHECK(captured.use_count() == 1);
}

TEST_CASE("callback: a capture whose destructor touches the same slot") {
  NumberCallback callback;
  struct Toucher {
    NumberCallback* slot;
    ~Toucher() {
      if (slot != nullptr) *slot = [] {};
    }
  };
  callback = [touch = std::make_unique<Toucher>(Toucher{nullptr}), &callback](int) {
    touch->slot = &callback;
  };
  callback(0);
  callback = nullptr;
  CHECK(callback);
}

TEST_CASE("callback: what it throws comes out, and it can be called again") {
  auto captured = std::make_shared<int>(0);
  NumberCallback callback = [captured](int number) {
    if (number > 0) throw std::logic_error("as asked");
  };
  CHECK_THROWS_WITH_AS(callback(1), "as asked", std::logic_error);
  callback(0);
  callback = [&callback, captured](int) {
    callback = nullptr;
    throw std::logic_error("after emptying itself");
  };
  CHECK_THROWS_AS(callback(0), std::logic_error);
  CHECK_FALSE(callback);
  CHECK(captured.use_count() == 1);
}

TEST_CASE("callback: a callable that throws while it is stored leaves the slot as it was") {
  struct ThrowsOnCopy {
    ThrowsOnCopy() = default;
    ThrowsOnCopy(const ThrowsOnCopy&) { throw std::runtime_error("copy"); }
    void operator()() const {}
  };
  int runs = 0;
  NumberCallback callback = [&] { ++runs; };
  ThrowsOnCopy callable;
  CHECK_THROWS_AS(callback = callable, std::runtime_error);
  callback(0);
  CHECK(runs == 1);
}

TEST_CASE("callback: an exception handler gets the exception itself, not a slice") {
  std::string what;
  const std::runtime_error error("the cause");
  ExceptionCallback handler = [&](const std::exception& e) { what = e.what(); };
  handler(error);
  CHECK(what == "the cause");
  handler = [&](const auto& e) { what = std::string(e.what()) + "!"; };
  handler(error);
  CHECK(what == "the cause!");
  handler = [&] { what = "called"; };
  handler(error);
  CHECK(what == "called");
}

TEST_CASE("callback: what a derived class shows is its base's property") {
  fakes::OnMessage slot;
  fakes::AsyncOnMessage derived{slot};
  auto connection = std::make_shared<fakes::Async>();
  std::string_view text = "text";
  const Message message = Message::of(text);
  int seen = 0;

  CHECK_FALSE(derived);
  CHECK(derived == nullptr);
  derived = [&](auto con) { seen = con->async; };
  CHECK(slot);
  slot(connection, message);
  CHECK(seen == 3);
  slot = [&](auto con) { seen = 10 * con->tcp; };
  derived(connection, message);
  CHECK(seen == 20);
  derived = nullptr;
  CHECK_FALSE(slot);

  fakes::OnMessage otherSlot;
  fakes::AsyncOnMessage other{otherSlot};
  other = [&](auto con) { seen = 100 * con->async; };
  derived = other;  // shares the callable, stays bound to its own slot
  other = nullptr;
  slot(connection, message);
  CHECK(seen == 300);
  otherSlot = derived;
  slot = nullptr;
  otherSlot(connection, message);
  CHECK(otherSlot);
  derived = otherSlot;
  CHECK(slot);
  fakes::OnClose closeSlot;
  fakes::AsyncOnClose onClose{closeSlot};
  onClose = [&](auto con) { seen = 7 * con->async; };
  derived = onClose;  // of another kind: a callable with fewer parameters
  derived(connection, message);
  CHECK(seen == 21);
  derived = {};
  CHECK_FALSE(slot);
}

TEST_CASE("callback: a handle is held only as long as the call") {
  fakes::OnMessage slot;
  fakes::AsyncOnMessage derived{slot};
  AsyncPtr connection = std::make_shared<fakes::Async>();
  TcpPtr stored = connection;
  std::string_view text = "text";
  const Message message = Message::of(text);
  long during = 0;

  slot = [&](const auto& con) { during = con.use_count(); };
  slot(stored, message);
  CHECK(during == 2);  // no copy of the handle for const&
  slot = [&](const TcpPtr& con) { during = con.use_count(); };
  slot(stored, message);
  CHECK(during == 2);
  derived = [&](const TcpPtr& con) { during = con.use_count(); };
  slot(stored, message);
  CHECK(during == 2);
  derived = [&](auto con) { during = con.use_count(); };
  slot(stored, message);
  CHECK(during == 3);  // one, moved into the parameter
  derived = [&](const AsyncPtr& con) { during = con.use_count(); };
  slot(stored, message);
  CHECK(during == 3);
  CHECK(connection.use_count() == 2);
}

TEST_CASE("callback: a connection takes its worker's callback without a copy of the callable") {
  auto captured = std::make_shared<int>(0);
  fakes::WorkerOnMessage worker = [captured](auto con, auto data) {
    *captured += con->tcp + int(data.size());
  };
  fakes::OnMessage connection = worker;
  fakes::OnMessage assigned;
  assigned = worker;
  CHECK(captured.use_count() == 2);
  worker = nullptr;
  std::string_view text = "12345678";
  connection(std::make_shared<fakes::Tcp>(), Message::of(text));
  CHECK(*captured == 10);
  CHECK(assigned.wants() == typeTag<std::string_view>());
}
