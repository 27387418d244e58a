// Package eval evaluates Go expressions that people type, over a program in memory: main.store.devices[3].name.
//
// It parses with go/parser and goes through package values. Functions of the program can't be called, so it knows
// variables, fields, indexes, slices, conversions, type assertions, len, cap and find(T). A place that is to be changed
// comes with the way that led there ([Place]), so that it can be proved again later.
//
// What may not come in: Lua, operators, changes.
package eval
