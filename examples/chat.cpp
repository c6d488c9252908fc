// A chat with names, rooms and history. The page (chat.html, beside the program) talks JSON
// over the WebSocket:
//
//     page   {"type": "join", "name": "Tom", "room": "lobby"}, then {"type": "say", "text": "Hi"}
//     chat   {"type": "welcome", "name": ..., "people": [...], "history": [...]}
//            {"type": "joined" | "left", "name": ..., "people": [...]}
//            {"type": "say", "name": ..., "text": ..., "time": seconds}
//            {"type": "error", "text": ...}
//
//     [LISTEN=websocket://0.0.0.0:8081] [PAGE=page://0.0.0.0:8080] ./chat start
//
// and then http://localhost:8080/ in some browsers.

#include <workerman/workerman.h>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

using nlohmann::json;
using Workerman::Worker;
using Workerman::Connection::TcpConnectionPtr;

// What people have typed, made fit to be shown: no control characters, no blanks around it,
// at most `most` characters.
std::string tidy(std::string_view typed, std::size_t most) {
  std::string text;
  for (const char c : typed) {
    const auto byte = static_cast<unsigned char>(c);
    const bool isBlank = byte <= ' ' || byte == 0x7f;
    if (isBlank && text.empty()) continue;
    const bool beginsCharacter = (byte & 0xc0) != 0x80;  // the other bytes of UTF-8 continue one
    if (beginsCharacter && most-- == 0) break;
    text += isBlank ? ' ' : c;
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

// A text of a message; empty when there is none of that name.
std::string field(const json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_string() ? found->get<std::string>() : "";
}

class Chat {
 public:
  explicit Chat(Worker& worker) : worker_(worker) {}

  void onMessage(const TcpConnectionPtr& connection, std::string_view data) {
    const json message = json::parse(data, nullptr, false);
    const std::string type = field(message, "type");
    if (type == "join") {
      join(connection, tidy(field(message, "name"), 24), tidy(field(message, "room"), 24));
    } else if (type == "say") {
      say(connection, tidy(field(message, "text"), 2000));
    } else {
      refuse(connection, "I do not understand that.");
    }
  }

  void leave(const TcpConnectionPtr& connection) {
    const Guest guest = std::exchange(connection->userData<Guest>(), {});
    if (guest.room.empty()) return;
    Room& room = rooms_[guest.room];
    room.people.erase(connection->id);
    connection->unsubscribe(topic(guest.room));
    publish(guest.room, {{"type", "left"}, {"name", guest.name}, {"people", names(room)}});
  }

 private:
  struct Guest {
    std::string name;
    std::string room;  // empty until the guest has joined one
  };
  struct Room {
    std::map<std::int64_t, std::string> people;  // names, by the id of the connection
    std::deque<json> history;
  };
  static constexpr std::size_t kHistory = 50;
  static constexpr std::size_t kRooms = 1000;

  void join(const TcpConnectionPtr& connection, std::string name, const std::string& room) {
    leave(connection);
    // Rooms that everybody has left are kept for their history, while there is space.
    if (rooms_.size() >= kRooms) {
      std::erase_if(rooms_, [](const auto& each) { return each.second.people.empty(); });
    }
    if (name.empty() || room.empty()) return refuse(connection, "Please give a name and a room.");
    const bool isNew = !rooms_.contains(room);
    if (isNew && rooms_.size() >= kRooms) return refuse(connection, "All rooms are taken.");
    Room& joined = rooms_[room];
    name = unused(name, names(joined));
    connection->userData<Guest>() = {name, room};
    joined.people[connection->id] = name;
    connection->subscribe(topic(room));
    const json people = names(joined);
    const json welcome{{"type", "welcome"}, {"name", name}, {"people", people}, {"history", joined.history}};
    connection->send(welcome.dump());
    publish(room, {{"type", "joined"}, {"name", name}, {"people", people}});
  }

  void say(const TcpConnectionPtr& connection, const std::string& text) {
    const Guest& guest = connection->userData<Guest>();
    if (guest.room.empty()) return refuse(connection, "Join a room first.");
    if (text.empty()) return;
    const json said{{"type", "say"}, {"name", guest.name}, {"text", text}, {"time", std::time(nullptr)}};
    auto& history = rooms_[guest.room].history;
    history.push_back(said);
    if (history.size() > kHistory) history.pop_front();
    publish(guest.room, said);
  }

  static std::set<std::string> names(const Room& room) {
    std::set<std::string> all;
    for (const auto& [id, name] : room.people) all.insert(name);
    return all;
  }

  // The second Tom in a room is Tom 2.
  static std::string unused(const std::string& wanted, const std::set<std::string>& taken) {
    std::string name = wanted;
    for (int i = 2; taken.contains(name); ++i) name = wanted + " " + std::to_string(i);
    return name;
  }

  static void refuse(const TcpConnectionPtr& connection, const char* why) {
    connection->send(json{{"type", "error"}, {"text", why}}.dump());
  }
  void publish(const std::string& room, const json& message) { worker_.publish(topic(room), message.dump()); }
  static std::string topic(const std::string& room) { return "room/" + room; }

  Worker& worker_;
  std::map<std::string, Room> rooms_;
};

// As much HTTP as it takes to hand out one page: a request is its head, of which only the
// first line counts.
struct PageProtocol {
  static std::size_t input(std::string_view buffer) {
    const auto end = buffer.find("\r\n\r\n");
    return end == std::string_view::npos ? 0 : end + 4;
  }
  static std::string_view decode(std::string_view head) { return head.substr(0, head.find("\r\n")); }
  static std::string_view encode(std::string_view answer) { return answer; }
};

std::string answer(std::string_view requestLine, const std::string& page) {
  std::istringstream words{std::string(requestLine)};
  std::string method, target, version, more;
  words >> method >> target >> version;
  std::string status = "200 OK", type = "text/html; charset=utf-8", body = page;
  if (!version.starts_with("HTTP/1.") || words >> more) {
    status = "400 Bad Request";
  } else if (method != "GET" && method != "HEAD") {
    status = "405 Method Not Allowed\r\nAllow: GET, HEAD";
  } else if (target != "/" && !target.starts_with("/?")) {
    status = "404 Not Found";
  }
  if (status != "200 OK") {
    type = "text/plain";
    body = status.substr(0, status.find("\r\n")) + "\n";
  }
  const std::string head = "HTTP/1.1 " + status + "\r\nContent-Type: " + type +
                           "\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
  return method == "HEAD" ? head : head + body;
}

// chat.html with the number of the WebSocket's port filled in.
std::string readPage(int port) {
  const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "chat.html";
  std::ifstream file(path, std::ios::binary);
  std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::string marker = "{{port}}";
  const auto at = page.find(marker);
  if (at == std::string::npos) throw std::runtime_error("cannot read " + path.string());
  return page.replace(at, marker.size(), std::to_string(port));
}

int main() {
  Workerman::Protocols::add<PageProtocol>("page");

  const char* listen = std::getenv("LISTEN");
  Worker worker(listen ? listen : "websocket://0.0.0.0:8081");
  Chat chat(worker);
  worker.onWorkerStart = [](Worker* self) {
    const char* address = std::getenv("PAGE");
    auto pages = std::make_shared<Worker>(address ? address : "page://0.0.0.0:8080");
    pages->idleTimeout = 10;  // a browser that asks for nothing is not waited for
    pages->onConnect = [](auto connection) { connection->maxPackageSize = 16 * 1024; };
    pages->onMessage = [page = readPage(self->getListenPort())](auto connection, auto requestLine) {
      connection->end(answer(requestLine, page));
    };
    pages->listen();
    std::cout << "chat on port " << self->getListenPort() << "\n"
              << "page on port " << pages->getListenPort() << "\n";
  };
  worker.onConnect = [](auto connection) {
    connection->maxPackageSize = 64 * 1024;
    connection->websocketPingInterval = 30;  // a guest whose network is gone leaves
  };
  worker.onMessage = [&chat](auto connection, auto data) { chat.onMessage(connection, data); };
  worker.onClose = [&chat](auto connection) { chat.leave(connection); };
  Worker::runAll();
}
