// Package shell is the keyboard and the screen of ri shell: a prompt, history, completion, a pager, and the commands
// that begin with a colon.
//
// What a line means and how the target is looked at is the console's (instruments/console). Here is nothing that knows
// memory, types or Lua. So what is typed is looked at as what is run by ri exec: rehearsed, and on a copy. The target
// is never held while somebody thinks, unless they said :stop, and then for a limited time.
//
// What may not come in: views, symbols, values, Lua.
package shell
