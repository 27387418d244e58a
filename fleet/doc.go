// Package fleet is many agents and one question: agents register in a database of OVSDB (hosts, what runs there), and
// who asks finds them there, asks those that were meant, and merges what they answer.
//
// The database is any OVSDB server, reached by ovsdb/client alone: ours, a real one, a cluster. It isn't trusted: what
// commands an agent is signed by its author, expires, and is refused when it was seen before; what an agent says of
// itself is signed by the agent; what is answered by way of the database is encrypted to who asked. No row is written
// by two, so that a thousand agents don't wait for one another, and none depends on a connection (no ephemeral
// columns: clusters have none).
//
// Usually who asks calls the agents, at the methods that they publish, as ri --at does. For agents that can't be called
// the question lies in the database as rows.
//
// What a run changes carries its id as a label in the journal where it is made, by which it is undone.
//
// What may not come in: processes, values, Lua. What runs on a host is told by who uses this.
package fleet
