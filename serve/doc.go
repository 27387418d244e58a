// Package serve is the agent: it listens for those who ask from elsewhere (ri --at), knows who they are and what they
// may, and does each request in a process of its own (package worker), which is ri itself with the command of the
// request. So what is promised of ri that is killed at any instant holds of a request whose connection is lost.
//
// The agent itself attaches to nothing and holds nothing stopped. Its rooms: request (what is asked, and which role it
// needs), method (where an agent is), client (who asks), worker (who does it).
//
// What may not come in: what commands do, flags, the values of targets.
package serve
