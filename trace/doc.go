// Package trace has a process tell what passes by: calls of functions, with what they were given and what they gave.
//
// A [Request] says of which functions, under which condition, and what of each call is wanted. Its life:
//
//  1. [Prepare] makes a [Plan] of it for one program: the places that are probed (package probe/place), and what is
//     done there (package probe/compile). What can't be done is refused, with the reason; what isn't probed is in
//     [Plan].Missed. Nothing of the process has been touched by then.
//  2. Following has the kernel count for 100 ms how often the places are passed (package probe/kernel). What that
//     would cost, over the budget, is a *kernel.ErrBudget in rows.ErrPartial that says which budget would do; nothing
//     is armed.
//  3. The probes are armed, and the caller is told the forecast. Each call is a [Hit]: [Plan.Follow] gives it. Plan.Run
//     is built on that: Plan.Keep, if it is set, is given the hit first, and the [Watcher] its row. With Returns a hit
//     comes when the call returns. Conditions are decided in the kernel; what is wanted is captured there too.
//  4. It ends by the request's Limit or For, with ctx, with the process, with an error of Keep or of the Watcher, or
//     by the budget, which counts what the hits cost while it runs (rows.ErrPartial; what came until then is good). The
//     probes go; what was taken by then is still given, then the calls that have not returned, then the tables of
//     probes with Histogram.
//  5. The [Summary] says why it ended, what was counted, shown, lost, and what it cost the process.
//
// [Plan.Count] is the same for what is only counted, in the kernel where it can. A plan is run once, and closed;
// several may run on one process at once, each with a budget of its own. A caller that goes away takes the probes with
// it, whatever ends it.
//
// Hits that were kept in a recording are read once more by a [Replay], under another request.
//
// A program that traces needs no more than the facade of package ri: Target.Trace gives rows. What wants values, as
// recordings of calls do, uses Follow: a hit's values are read in place (Value.Space), until the next hit.
//
// What may not come in: BPF, Lua, terminals, flags.
package trace
