#include "address_holder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>
#include <vector>

#include "../../core/process/process_handle.h"

namespace Workerman::Connection::detail {
namespace {

namespace fs = std::filesystem;

/// In /proc/net/tcp: one that listens.
constexpr const char* kListens = "0A";

/// Adds the sockets on `port` that a table of /proc/net has, by their inodes.
void findOnPort(const std::string& table, int port, bool isDatagram, std::set<std::string>& inodes) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string slot, local, remote, state, queues, timer, retries, user, timeout, inode;
    words >> slot >> local >> remote >> state >> queues >> timer >> retries >> user >> timeout >> inode;
    const std::size_t colon = local.rfind(':');
    if (!words || colon == std::string::npos || (!isDatagram && state != kListens)) continue;
    if (std::stoi(local.substr(colon + 1), nullptr, 16) == port) inodes.insert(inode);
  }
}

void findOnPath(const std::string& path, std::set<std::string>& inodes) {
  std::ifstream file("/proc/net/unix");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string number, references, protocol, flags, type, state, inode, name;
    words >> number >> references >> protocol >> flags >> type >> state >> inode;
    if (words && std::getline(words >> std::ws, name) && name == path) inodes.insert(inode);
  }
}

bool holds(const fs::path& process, const std::set<std::string>& links) {
  std::error_code error;
  for (fs::directory_iterator it(process / "fd", error), end; !error && it != end; it.increment(error)) {
    std::error_code unreadable;
    if (links.contains(fs::read_symlink(it->path(), unreadable).string())) return true;
  }
  return false;
}

std::vector<int> holders(const std::set<std::string>& inodes) {
  std::set<std::string> links;
  for (const std::string& inode : inodes) links.insert("socket:[" + inode + "]");
  std::vector<int> pids;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    const bool isProcess = name.find_first_not_of("0123456789") == std::string::npos;
    if (isProcess && holds(it->path(), links)) pids.push_back(std::stoi(name));
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

}  // namespace

std::string describeHolder(const SocketAddress& where, bool isDatagram) {
  std::set<std::string> inodes;
  if (where.isIp()) {
    const std::string table = isDatagram ? "/proc/net/udp" : "/proc/net/tcp";
    findOnPort(table, where.port(), isDatagram, inodes);
    findOnPort(table + "6", where.port(), isDatagram, inodes);
  } else {
    findOnPath(reinterpret_cast<const sockaddr_un*>(where.get())->sun_path, inodes);
  }
  if (inodes.empty()) return {};
  const std::vector<int> pids = holders(inodes);
  if (pids.empty()) return {};
  // One that is stopped is what others wait for.
  const auto isStopped = [](int pid) { return Workerman::detail::stateOf(pid) == 'T'; };
  const auto stopped = std::find_if(pids.begin(), pids.end(), isStopped);
  const int pid = stopped != pids.end() ? *stopped : pids.front();
  std::string text = "; " + Workerman::detail::describeProcess(pid);
  if (pids.size() > 1) text += ", and " + std::to_string(pids.size() - 1) + " more,";
  text += pids.size() > 1 ? " have it" : " has it";
  if (stopped != pids.end())
    text += ", and is stopped (SIGSTOP): kill -CONT lets it go on, kill -KILL ends it";
  return text;
}

}  // namespace Workerman::Connection::detail
