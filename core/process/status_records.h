#pragma once

/// How the processes hand their parts of a report to the command that asks
/// (internal).
///
/// The command signals the master. That begins a new file with its own part and
/// signals the workers, each of which appends its part. A part is one line of
/// JSON, written with one call, so that the command reads whole parts or none;
/// what is cut or is no part of ours is passed over.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "status_report.h"

namespace Workerman::detail {

std::string encode(const GlobalStatus& global);
std::string encode(const WorkerStatus& worker);
/// All connections of the process `pid`; none is an answer too.
std::string encode(int pid, const std::vector<ConnectionStatus>& connections);

/// What `text`, a file's contents, says so far. Of several parts of one process
/// the last counts; parts of processes that the master does not list do not.
/// Nothing as long as the master's part is missing or older than `notBefore`,
/// which is monotonicNanoseconds() at the time of the question.
std::optional<StatusReport> decodeStatus(std::string_view text, std::int64_t notBefore = 0);
std::optional<ConnectionsReport> decodeConnections(std::string_view text, std::int64_t notBefore = 0);

/// The reports for programs: one JSON object and a line end. Memory and traffic
/// are in bytes, times in seconds; a busy process has null for what it did not say.
std::string statusJson(const StatusReport& report);
std::string connectionsJson(const ConnectionsReport& report);

/// For the master: replaces the file by a new one with this part. Only its
/// owner may read it; others may append with `othersWrite`, which workers of
/// other users need. Gives what went wrong, empty if nothing; then the old file
/// is as it was. What is no report is left alone.
std::string beginReport(const std::string& path, std::string_view part, bool othersWrite);
/// For a worker: adds its part to the file, which must be there. As above.
std::string appendReport(const std::string& path, std::string_view part);
/// For the master: removes the file, if it is a report.
void removeReport(const std::string& path) noexcept;
/// For the command: the file's contents, empty if there is none.
std::string readReport(const std::string& path);

}  // namespace Workerman::detail
