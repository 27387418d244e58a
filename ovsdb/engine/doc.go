// Package engine is a database of RFC 7047: rows in tables, transactions with all operations, references, indexes,
// garbage collection, monitors. Its contents are in memory; its file, if it has one, is that of package ovsdb, which
// ovsdb-tool and ovsdb-server read.
//
// A row is never changed, only replaced: a transaction keeps the rows that it makes beside the database until it is
// committed, and monitors hold old ones for as long as they must tell of them.
//
// Sources: RFC 7047; ovsdb-server(7); ovsdb/execution.c, transaction.c, monitor.c of Open vSwitch 3.7, whose error
// texts it gives, since people search for them.
//
// What may not come in: connections, JSON-RPC, who may do what.
package engine
