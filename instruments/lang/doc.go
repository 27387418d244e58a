// Package lang is what a script is before it runs: its source compiled ([Compile]), its header ([Header]), the
// parameters that it declares, what is wrong with it ([ScriptError]), and the functions that it may call ([API]), from
// which docs/lua.md is made.
//
// What may not come in: a machine that runs scripts, targets, terminals.
package lang
