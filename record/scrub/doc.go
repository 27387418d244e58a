// Package scrub takes secrets out of streams while they are recorded: bytes that come in pieces, of protocols that
// nobody told of. What is a secret is asked of room secrets, by name and by form; here it is found where a name and its
// value stand in a stream: headers, JSON, forms and queries, lines of text protocols, RESP, messages of
// PostgreSQL, MQTT and LDAP.
//
// A secret becomes a token of the same length and the same kind of characters, equal for equal secrets in all streams,
// arguments and files of one recording, so that a password that was replaced logs in where it is replaced on both
// sides. A secret that was found once is replaced wherever else it stands.
//
// It can't see into what is compressed or encrypted. It replaces too much rather than too little.
//
// What may not come in: sockets, processes, files of recordings.
package scrub
