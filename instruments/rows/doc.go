// Package rows is what an answer is made of: rows with declared columns, findings, samples of stacks, and how they are
// shown as a table, JSON, NDJSON or a profile.
//
// A [Result] is complete before anything of it is printed, so that a slow output never holds a target. What a script
// gives arrives through a [Sink]; an [Output] is where a command writes. Errors say how a command ended ([ErrUsage],
// [ErrRefused], [ErrPartial], [ErrFound]); what a program makes of that, such as an exit code, is the caller's.
//
// What may not come in: targets, views of memory, Lua, recipes.
package rows
