// Package referee is Delve over ri's views: an independent reader of the same bytes. It tells whether ri can be
// believed on a program ([Verify], which ri doctor --verify prints), and the tests compare with it.
//
// It is the only package that imports Delve; the tests of others may. What may not come in: Lua, recipes, printing,
// ptrace.
package referee
