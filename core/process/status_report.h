#pragma once

/// What `start`, `status` and `connections` show, as values and as text
/// (internal, pure but for the functions at the end).

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace Workerman::detail {

/// What stands in the line of versions.
struct ProgramVersions {
  std::string workerman;         ///< "5.2.2"
  std::string runtime;           ///< "C++/0.2.0 libuv/1.44.2": the library's version, and libuv's
  std::string system;            ///< "Linux/6.1.0"
  std::string eventLoop = "uv";  ///< The name in the column `event-loop`.
};

struct ExitCount {
  int status = 0;  ///< The raw wait status.
  std::uint64_t count = 0;
};

/// One Worker of the program, as its master knows it.
struct ServiceStatus {
  std::string name = "none";
  std::string listen = "none";  ///< Worker::getSocketName()
  std::string transport = "tcp";
  std::string user;
  int count = 1;
  std::vector<ExitCount> exits;  ///< How its processes have ended so far.
  std::vector<int> pids;         ///< Its processes now.
};

/// The master's part.
struct GlobalStatus {
  ProgramVersions versions;
  int masterPid = 0;
  bool daemonize = false;
  std::int64_t startTime = 0;           ///< Seconds since 1970.
  std::int64_t time = 0;                ///< Now, the same.
  std::int64_t writtenAt = 0;           ///< monotonicNanoseconds() at the moment of this report.
  std::array<double, 3> loadAverage{};  ///< Of 1, 5 and 15 minutes.
  std::vector<ServiceStatus> services;
};

/// A worker process's part.
struct WorkerStatus {
  int pid = 0;
  int id = 0;  ///< Worker::id
  std::string name = "none";
  std::string listening = "none";
  std::uint64_t memory = 0;  ///< Bytes.
  std::uint64_t connections = 0;
  std::uint64_t sendFail = 0;
  std::uint64_t timers = 0;
  std::uint64_t totalRequest = 0;
  double qps = 0;  ///< Filled in by countQps().
};

struct ConnectionStatus {
  int pid = 0;
  std::string worker;
  std::uint64_t id = 0;
  std::string transport;
  std::string protocol;  ///< Empty: as the transport.
  bool isIpV4 = false;
  bool isIpV6 = false;
  std::uint64_t recvQueue = 0;  ///< Bytes, as the next three.
  std::uint64_t sendQueue = 0;
  std::uint64_t bytesRead = 0;
  std::uint64_t bytesWritten = 0;
  std::string status;
  std::string localAddress;
  std::string remoteAddress;
};

/// All that has been handed in so far. A process of the master's list that is
/// not among the workers has not answered: it is busy.
struct StatusReport {
  GlobalStatus global;
  std::vector<WorkerStatus> workers;
  /// The processes that have not answered, in order of pid.
  std::vector<int> busy() const;
};

struct ConnectionsReport {
  GlobalStatus global;
  std::vector<int> answered;
  std::vector<ConnectionStatus> connections;
  std::vector<int> busy() const;
};

/// Fills in the requests per second since `before`; a process that is new has 0.
void countQps(StatusReport& report, const StatusReport& before);

/// The columns of that table, each with Workerman's name of what is in it: Worker::getUiColumns().
const std::vector<std::pair<std::string_view, std::string_view>>& uiColumns();
/// The table that a start shows, with safeEcho()'s decorations: the services
/// and, of the master, the versions.
std::string startupTable(const GlobalStatus& global);
/// The line after it. `program` is the word that starts it: "./app".
std::string startedLine(std::string_view program, bool daemonize, bool isLibrary);

/// The page of `status`. Its columns are Workerman's.
/// Differs from Workerman: the rows stay aligned for a busy process, in the
/// summary and for names that are not ASCII; control characters show as '?'.
std::string statusPage(const StatusReport& report);
/// The table of `connections`.
std::string connectionsTable(const ConnectionsReport& report);

/// Those of this program.
ProgramVersions programVersions();
/// What this process occupies, in bytes.
std::uint64_t residentMemory();
std::array<double, 3> systemLoad();
/// A clock that all processes share and nobody sets.
std::int64_t monotonicNanoseconds();

}  // namespace Workerman::detail
