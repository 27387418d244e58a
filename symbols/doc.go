// Package symbols is what an executable says of itself: package variables, types and their layouts, named constants,
// functions and lines.
//
// It reads an ELF file: debug information (room dwarf), the function table of Go 1.18 and later, build info. It knows
// no process. Every address here is a link-time address; whoever joins a File with a running process adds the load bias
// (see [File.Entry]).
//
// One pass over .debug_info at Open indexes names only. Types are laid out when they are first asked for, then kept. A
// program without debug information is read by the runtime's own tables and by the layouts of its release (room
// layouts). Everything is safe for concurrent use after Open.
//
// What instruments asked of a File can travel, in a recording, to where the executable isn't: [File.Track],
// [File.Portable], [OpenPortable]. What wasn't asked for isn't there, and is [ErrNotRecorded], never nothing.
//
// What may not come in: processes, memory, registers, Delve's BinaryInfo and godwarf types, Lua.
package symbols
