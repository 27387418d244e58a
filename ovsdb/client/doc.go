// Package client is a client of OVSDB servers (RFC 7047): ovsdb-server, alone or in a cluster, and our own. It keeps
// copies of the rows that it watches, makes transactions, and finds a server of its list that can be relied on, again
// and again.
//
// What it has been made to live through: a cluster whose leader changes while several monitors are open; a server that
// takes a connection and never answers; a follower that is behind what was seen before (its row in _Server says which
// entry of the log it has, and who leads); a server that lost its cluster; an answer that is lost, so that nobody knows
// whether a transaction was done (Once finds out by a name that its author chose).
//
// A monitor asks only for what has changed since, where the server knows (monitor_cond_since), and compares all rows
// with what it has where it doesn't. So who reads it sees each change once, whichever server it came from.
//
// Sources: RFC 7047; ovsdb-server(7); lib/ovsdb-cs.c of Open vSwitch 3.7, for what makes a server unfit.
//
// What may not come in: how a server is reached (who uses this dials), what the rows mean, processes, Lua.
package client
