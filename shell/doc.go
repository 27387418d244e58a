// Package shell is the keyboard and the screen of ri shell: a prompt, history, completion, a pager, and the commands
// that begin with a colon.
//
// What a line means and how the target is looked at is [instruments.Console]'s. Here is nothing that knows memory,
// types or Lua, so that what is typed is looked at as what is run by ri exec: rehearsed, on a copy, the target never
// held while somebody thinks, unless they said :stop, and then for a limited time.
//
// What may not come in: views, symbols, values, Lua.
package shell
