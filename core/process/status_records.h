#pragma once

/// What the processes say of themselves, as text and as values (internal, pure).
///
/// The command signals the master. That begins a new file with its own record
/// and signals the workers, whose parts come through their channels, and which
/// the master adds to the file, each with the number of the process that it has
/// come from. A record is one line; what is cut or is no record of ours is
/// passed over.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "status_report.h"

namespace Workerman::detail {

/// The master's record, which a report begins with.
std::string encode(const GlobalStatus& global);
/// A process's part.
std::string encode(const WorkerStatus& worker);
/// The parts of a process for these connections, at least one: none is an answer too.
std::vector<std::string> encode(const std::vector<ConnectionStatus>& connections);
/// The record of what the process `pid` has said, whatever that is.
std::string record(int pid, std::string_view part, bool isLast);
/// The last record, once every process has answered.
constexpr std::string_view kEndOfReport = "\nend\n";

/// What `text`, a file's contents, says so far. Of several parts of `status`
/// from one process the last counts; parts of processes that the master does
/// not list do not.
/// Nothing as long as the master's part is missing or older than `notBefore`,
/// which is monotonicNanoseconds() at the time of the question.
std::optional<StatusReport> decodeStatus(std::string_view text, std::int64_t notBefore = 0);
std::optional<ConnectionsReport> decodeConnections(std::string_view text, std::int64_t notBefore = 0);

/// The reports for programs: one JSON object and a line end. Memory and traffic
/// are in bytes, times in seconds; a busy process has null for what it did not say.
std::string statusJson(const StatusReport& report);
std::string connectionsJson(const ConnectionsReport& report);

}  // namespace Workerman::detail
