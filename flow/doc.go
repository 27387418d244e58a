// Package flow traces flows over hosts by requests that are made, seen and enabled in one place: operators define
// tenants and devices, tenants make requests about their devices, agents arm what was enabled, follow each flow from
// where it enters to where it leaves, and log it.
//
// The life of a request: a Trace is created, disabled. Enabling it writes one row, signed, with a generation and an
// expiry, and a hash key sealed to each agent of the device. Each agent that has a matching process starts a tracer
// there, of which each hit is a flow. Where it enters, it gets an id, and the keyed hash of its key is published; where
// it leaves, the last seconds' candidates are held against what was published. Disabling deletes the row, and every
// agent ends what it began; so does the expiry, a limit, the end of the process, and a database that is silent.
//
// The database isn't believed. A Tenant, a Device and a token are believed if an operator signed them, a Trace and its
// enabling if an operator or a tracer did: the certificate of the REST server, which can do nothing else. An agent
// holds each enabling against the Device itself, so whoever has a tracer's certificate reaches no more than what an
// operator allowed that tenant. An enabling that expired, was altered, or is older than one that was seen, is refused,
// and the agent says why. What an agent says is believed if an agent signed it.
//
// No row is written by two: a Trace by who creates it, a Trace_Enabled and its Trace_Keys by who enables it, a
// Trace_Host, a Flow and a Flow_Hop by one agent. Others only delete.
//
// What may not come in: how a process is traced (a Tracer is given), what a value looks like redacted (a Redactor is
// given), commands and their flags.
package flow
