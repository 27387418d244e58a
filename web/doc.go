// Package web is the page by which people watch a fleet in a browser: hosts and what runs there, what check finds, a
// recipe's rows as they come, requests for traces, and flows as waterfalls over hosts.
//
// It is a server beside fleet and flow and has no knowledge of its own: what it shows is what [fleet.Asker] and
// [flow.Store] give, and the requests' API is flow's. It asks agents as whoever its certificate names, never more; it
// changes no process.
//
// Who may what is decided for each request. Whoever starts it on this machine opens it by a link that is good once;
// others come with a client's certificate or a tenant's token. A tenant sees its requests and nothing else. Host and
// Origin are checked, since a browser brings along what it was given for other pages.
//
// The page is one text without anything from elsewhere: the policy that it is served with allows its own script and
// sheet, by their digests, and connections to where it came from.
//
// What may not come in: processes, Lua, files.
package web
