// Pushes the messages of other programs to people's browsers.
//
// A browser opens the WebSocket and sends its user id; the same user may be there several
// times. Any program of yours connects to the inner port and writes, one line of JSON each:
//
//     {"uid": "tom", "data": "your parcel is here"}     to one user
//     {"data": "closing in five minutes"}               to everybody
//
// It is answered "ok" and the number of connections that this went to, or "fail" and why.
//
//     [LISTEN=websocket://0.0.0.0:1234] [PUSH=text://127.0.0.1:5678] ./push_server start
//     echo '{"uid": "tom", "data": "hello"}' | nc -q 1 127.0.0.1 5678

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>

using nlohmann::json;
using Workerman::Worker;

// Sends on what one line says; the answer is for whoever wrote it.
std::string push(Worker& worker, std::string_view line) {
  const json message = json::parse(line, nullptr, false);
  const bool hasUid = message.contains("uid");
  const bool hasData = message.contains("data") && message["data"].is_string();
  if (!hasData || (hasUid && !message["uid"].is_string())) {
    return R"(fail: a line is {"uid": "...", "data": "..."})";
  }
  const std::string topic = hasUid ? "user/" + message["uid"].get<std::string>() : "all";
  return "ok " + std::to_string(worker.publish(topic, message["data"].get<std::string>()));
}

int main() {
  const char* listen = std::getenv("LISTEN");
  Worker worker(listen ? listen : "websocket://0.0.0.0:1234");
  worker.onWorkerStart = [](Worker* self) {
    // Made here, the inner port is served by the same process, which has the connections.
    const char* inner = std::getenv("PUSH");
    auto pusher = std::make_shared<Worker>(inner ? inner : "text://127.0.0.1:5678");
    pusher->onMessage = [self](auto connection, auto line) { connection->send(push(*self, line)); };
    pusher->listen();
    std::cout << "websocket on port " << self->getListenPort() << "\n"
              << "push on port " << pusher->getListenPort() << "\n";
  };
  worker.onMessage = [](auto connection, auto data) {
    // Its first message says who it is. Take a token that you can check instead of a bare
    // id, where a message for tom must not go to whoever says that he is tom. Only the
    // first counts: then it has not subscribed to "all" yet.
    if (connection->subscribe("all")) connection->subscribe("user/" + std::string(data));
  };
  Worker::runAll();
}
