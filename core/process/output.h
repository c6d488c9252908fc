#pragma once

/// The standard streams of a program that runs workers (internal).

namespace Workerman {
class EventLoop;
}

namespace Workerman::detail {

/// Opens those of 0 to 2 that are closed, on /dev/null: what is opened later,
/// and has nothing to do with them, would get their numbers, and be printed to.
void secureStandardStreams() noexcept;

/// From now on a line of standard output is one write, wherever that goes, so
/// that lines of several processes do not mix; see flushOutput() for the rest.
void printInLines() noexcept;
/// Writes what waits to be printed.
void flushOutput() noexcept;
/// The same before each time that `loop`, the only one of this process, waits.
/// Ends with the loop.
void flushOutputWith(EventLoop& loop) noexcept;

}  // namespace Workerman::detail
