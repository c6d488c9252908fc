// Which signatures the other kinds of callback accept, and whose connections they are given.

#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "callback_fakes.h"
#include "core/callback.h"

using namespace Workerman;
using namespace fakes;
using nlohmann::json;
using std::string;
using std::string_view;

TEST_CASE("AsyncTcpConnection: auto means its own handle, its bases may be declared") {
  OnMessage slot;
  AsyncOnMessage onMessage{slot};
  OnClose closeSlot;
  AsyncOnClose onClose{closeSlot};
  TcpPtr connection = std::make_shared<Async>();
  string_view text = "text";
  int sum = 0;
  auto call = [&](auto callback) {
    sum = 0;
    onMessage = std::move(callback);
    slot(connection, Message::of(text));
    return sum;
  };
  CHECK(call([&](auto con, auto data) { sum += con->async; }) == 3);
  CHECK(call([&](auto& con, auto& data) { sum += con->async; }) == 3);
  CHECK(call([&](auto&& con, auto data) { sum += con->async; }) == 3);
  CHECK(call([&](const auto& con, string data) { sum += con->async; }) == 3);
  CHECK(call([&](AsyncPtr con, auto data) { sum += con->async; }) == 3);
  CHECK(call([&](const AsyncPtr& con, string_view data) { sum += con->async; }) == 3);
  CHECK(call([&](TcpPtr con, auto data) { sum += con->tcp; }) == 2);
  CHECK(call([&](const TcpPtr& con, auto data) { sum += con->tcp; }) == 2);
  CHECK(call([&](const TcpPtr& con, string data) { sum += con->tcp; }) == 2);
  CHECK(call([&](BasePtr con, auto data) { sum += con->base; }) == 1);
  CHECK(call([&](const BasePtr& con) { sum += con->base; }) == 1);
  CHECK(call([&, n = 0](auto con, auto data) mutable { sum += con->async + n++; }) == 3);
  CHECK(call([&] { sum = 9; }) == 9);
  onMessage = [&](auto con, json data) { sum = con->async; };
  CHECK(slot.wants() == typeTag<json>());
  onMessage = [&](AsyncPtr con, json data) { sum = con->async; };
  CHECK(onMessage.wants() == typeTag<json>());

  auto close = [&](auto callback) {
    sum = 0;
    onClose = std::move(callback);
    closeSlot(connection);
    return sum;
  };
  CHECK(close([&](auto con) { sum += con->async; }) == 3);
  CHECK(close([&](auto& con) { sum += con->async; }) == 3);
  CHECK(close([&](AsyncPtr con) { sum += con->async; }) == 3);
  CHECK(close([&](TcpPtr con) { sum += con->tcp; }) == 2);
  CHECK(close([&](const BasePtr& con) { sum += con->base; }) == 1);
}

TEST_CASE("onError, onWebSocketClose: code and text by their declared types") {
  OnError slot;
  AsyncOnError onError{slot};
  TcpPtr connection = std::make_shared<Async>();
  string out;
  auto call = [&](auto callback) {
    out.clear();
    slot = callback;
    slot(connection, 42, "why");
    string base = std::exchange(out, "");
    onError = callback;
    slot(connection, 42, "why");
    CHECK(out == base);
    return out;
  };
  CHECK(call([&](auto con, auto code, auto msg) { out = std::to_string(code) + string(msg); }) == "42why");
  CHECK(call([&](auto& con, auto& code, auto& msg) { out = std::to_string(code) + string(msg); }) == "42why");
  CHECK(call([&](auto con, int code, string_view msg) { out = std::to_string(code) + string(msg); }) ==
        "42why");
  CHECK(call([&](auto con, long code, string msg) { out = std::to_string(code) + msg; }) == "42why");
  CHECK(call([&](auto con, auto code, const string& msg) { out = std::to_string(code) + msg; }) == "42why");
  CHECK(call([&](auto con, auto code, string msg) mutable { out = std::to_string(code) + msg; }) == "42why");
  CHECK(call([&](TcpPtr con, int code, const string& msg) { out = std::to_string(code) + msg; }) == "42why");
  CHECK(call([&](TcpPtr con, long long code, string msg) { out = std::to_string(code) + msg; }) == "42why");
  CHECK(call([&](BasePtr con, const int& code, auto msg) { out = std::to_string(code) + string(msg); }) ==
        "42why");
  CHECK(call([&](auto con, auto code) { out = std::to_string(code); }) == "42");
  CHECK(call([&](auto con) { out = std::to_string(con->tcp); }) == "2");
  CHECK(call([&] { out = "none"; }) == "none");
  CHECK(call([&](auto... all) { out = std::to_string(sizeof...(all)); }) == "3");
}

TEST_CASE("onWebSocketPing: the payload as any text") {
  TcpPtr connection = std::make_shared<Tcp>();
  string out;
  auto call = [&](OnPing callback) {
    out.clear();
    callback(connection, "beat");
    return out;
  };
  CHECK(call([&](auto con, auto payload) { out = payload; }) == "beat");
  CHECK(call([&](auto con, string payload) { out = payload; }) == "beat");
  CHECK(call([&](TcpPtr con, const string& payload) { out = payload; }) == "beat");
  CHECK(call([&](auto con, string_view payload) { out = payload; }) == "beat");
  CHECK(call([&](auto con) { out = "con"; }) == "con");
}

TEST_CASE("onWebSocketConnect: a client's auto is the response, a server's the request") {
  OnHandshake slot;
  AsyncOnHandshake client{slot};
  TcpPtr connection = std::make_shared<Async>();
  Request request;
  Response response;
  int sum = 0;
  auto server = [&](auto callback) {
    slot = callback;
    CHECK(slot.wants() == typeTag<Request>());
    slot(connection, Message::of(request));
    return std::exchange(sum, 0);
  };
  CHECK(server([&](auto con, auto& r) { sum = con->tcp + r.request; }) == 7);
  CHECK(server([&](auto con, const auto& r) { sum = con->tcp + r.request; }) == 7);
  CHECK(server([&](auto con, Request& r) { sum = con->tcp + r.request; }) == 7);
  CHECK(server([&](auto con, const Request& r) { sum = con->tcp + r.request; }) == 7);
  CHECK(server([&](TcpPtr con, Request r) { sum = con->tcp + r.request; }) == 7);
  auto asked = [&](auto callback) {
    client = callback;
    CHECK(client.wants() == typeTag<Response>());
    slot(connection, Message::of(response));
    return std::exchange(sum, 0);
  };
  CHECK(asked([&](AsyncPtr con, const auto& r) { sum = con->async + r.response; }) == 9);
  CHECK(asked([&](auto con, const auto& r) { sum = con->async + r.response; }) == 9);
  CHECK(asked([&](auto con, auto r) { sum = con->async + r.response; }) == 9);
  CHECK(asked([&](auto con, Response r) { sum = con->async + r.response; }) == 9);
  CHECK(asked([&](TcpPtr con, const Response& r) { sum = con->tcp + r.response; }) == 8);
  client = [&](auto con) { sum = con->async; };
  CHECK(client.wants() == nullptr);
  // A client seen through its base may still name the response.
  slot = [&](auto con, const Response& r) { sum = con->tcp + r.response; };
  CHECK(slot.wants() == typeTag<Response>());
}

TEST_CASE("Worker: a datagram's callback names its handle or the common base; auto is TCP") {
  TcpPtr tcp = std::make_shared<Tcp>();
  UdpPtr udp = std::make_shared<Udp>();
  string_view text = "text";
  Message message = Message::of(text);
  int sum = 0;
  struct Case {
    const char* name;
    WorkerOnMessage callback;
    HandleKind kind;
    int forTcp, forUdp;
  };
  constexpr auto any = HandleKind::any, onlyTcp = HandleKind::tcp, onlyUdp = HandleKind::udp;
  Case cases[] = {
      {"()", [&] { sum = 9; }, any, 9, 9},
      {"(auto)", [&](auto con) { sum = con->tcp; }, onlyTcp, 2, -1},
      {"(auto, auto)", [&](auto con, auto data) { sum = con->tcp; }, onlyTcp, 2, -1},
      {"(auto, auto) mutable", [&](auto con, auto data) mutable { sum = con->tcp; }, onlyTcp, 2, -1},
      {"(auto...)", [&](auto... all) { sum = int(sizeof...(all)); }, onlyTcp, 2, -1},
      {"(shared_ptr<T>, auto)", [&]<class T>(std::shared_ptr<T> con, auto data) { sum = con->tcp; }, onlyTcp,
       2, -1},
      {"(Tcp, auto)", [&](TcpPtr con, auto data) { sum = con->tcp; }, onlyTcp, 2, -1},
      {"(Tcp, text)", [&](TcpPtr con, string_view data) { sum = con->tcp; }, onlyTcp, 2, -1},
      {"(Udp)", [&](UdpPtr con) { sum = con->udp; }, onlyUdp, -1, 4},
      {"(Udp, auto)", [&](UdpPtr con, auto data) { sum = con->udp; }, onlyUdp, -1, 4},
      {"(Udp, auto) mutable", [&](UdpPtr con, auto data) mutable { sum = con->udp; }, onlyUdp, -1, 4},
      {"(const Udp&, text)", [&](const UdpPtr& con, string data) { sum = con->udp; }, onlyUdp, -1, 4},
      {"(Base)", [&](BasePtr con) { sum = con->base; }, any, 1, 1},
      {"(const Base&, auto)", [&](const BasePtr& con, auto data) { sum = con->base; }, any, 1, 1},
      {"(Base, text)", [&](BasePtr con, string data) { sum = con->base; }, any, 1, 1},
  };
  for (auto& row : cases) {
    CAPTURE(row.name);
    CHECK(row.callback.handleKind() == row.kind);
    sum = -1;
    if (row.forTcp < 0) {
      CHECK_THROWS_AS(row.callback(tcp, message), std::runtime_error);
    } else {
      row.callback(tcp, message);
    }
    CHECK(sum == row.forTcp);
    sum = -1;
    if (row.forUdp < 0) {
      CHECK_THROWS_AS(row.callback.callDatagram(udp, message), std::runtime_error);
    } else {
      row.callback.callDatagram(udp, message);
    }
    CHECK(sum == row.forUdp);
  }
  WorkerOnMessage typed = [&](UdpPtr con, json data) { sum = con->udp; };
  CHECK(typed.wants() == typeTag<json>());
  WorkerOnMessage empty;
  empty.callDatagram(udp, message);
  WorkerOnClose onClose = [&](UdpPtr con) { sum = con->udp; };
  onClose.callDatagram(udp);
  CHECK(sum == 4);
}

TEST_CASE("workers, timers, exceptions: plain parameters by their own types") {
  int sum = 0;
  auto* worker = reinterpret_cast<Worker*>(&sum);  // never looked into
  const void* got = nullptr;
  WorkerCallback starts[] = {[&](Worker* w) { got = w; }, [&](auto w) { got = w; }, [&](auto* w) { got = w; },
                             [&](const Worker* w) { got = w; }, [&](Worker* const& w) { got = w; }};
  for (auto& start : starts) {
    got = nullptr;
    start(worker);
    CHECK(got == worker);
  }
  WorkerExitCallback exits[] = {[&](Worker*, int status, int pid) { sum = status + pid; },
                                [&](auto, auto status, auto pid) { sum = status + pid; },
                                [&](auto, int status, long pid) { sum = int(status + pid); }};
  for (auto& exit : exits) {
    sum = 0;
    exit(worker, 64000, 12);
    CHECK(sum == 64012);
  }
  MasterCallback reload = [&] { sum = 1; };
  reload();
  CHECK(sum == 1);
  reload = [&](auto... none) { sum = 2 + int(sizeof...(none)); };
  reload();
  CHECK(sum == 2);
}
