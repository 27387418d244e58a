// Package ovsdb knows the formats of the Open vSwitch Database: schemas and their checksums, values, and the file of a
// standalone database. ovsdb-tool reads what ri writes, and ovsdb-server can serve it.
//
// Sources: RFC 7047 (schema, values); ovsdb(5) and ovsdb/log.c, ovsdb/file.c, lib/lockfile.c of Open vSwitch 3.1 (the
// file, which the RFC leaves open).
//
// What may not come in: what the rows mean (package change), transactions' operations (engine), connections (wire),
// processes, Lua.
package ovsdb
