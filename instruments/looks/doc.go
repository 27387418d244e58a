// Package looks is a look at a target: a [Session] opens it, a [Plan] says what is to run and how, and [Session.Run]
// runs it.
//
// Before a stop a script is rehearsed on live memory, which compiles what it needs and tells which pages it touches. A
// snapshot copies those; where the script misses one on the copy, another round copies more. What it wants changed is
// shown, agreed to, and committed by package change. Locks that guard what a recipe reads are waited for.
//
// A look knows no terminal: what is heard of it while it is under way goes to a [rows.Listener], rows may go to a
// [rows.Sink] as they come, and the question before a change is an [Asker]'s.
//
// What may not come in: what a single command wants, standard output, ptrace.
package looks
