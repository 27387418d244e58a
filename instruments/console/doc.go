// Package console is what a line at the prompt of ri shell means: it becomes Lua, runs on a look of its own (or on one
// that is held), and leaves names to the lines after it. Completion evaluates what stands before the cursor on live
// memory.
//
// What may not come in: keys, screens, files of history: those are package shell's.
package console
