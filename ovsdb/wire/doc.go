// Package wire speaks the protocol of RFC 7047 over connections: databases of package engine to clients such as
// ovsdb-client. A connection costs what it has open: a client that reads slowly keeps nothing in memory but which rows
// have changed, and isn't read from meanwhile.
//
// Besides the RFC's methods there are those that Open vSwitch's clients use (ovsdb-server(7)): get_server_id, convert,
// monitor_cond, monitor_cond_change, monitor_cond_since, set_db_change_aware, and the database _Server.
//
// What may not come in: what the rows mean, processes, who may do what.
package wire
