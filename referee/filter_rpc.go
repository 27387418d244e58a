package referee

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// readingMethods are the methods of Delve's API (service/rpc2, v1.27.2) that only read, or concern the client.
// Breakpoints are listed, since clients ask for them, and there are none.
var readingMethods = set(`
	Ancestors AttachedToExistingProcess BuildID CancelDownloads CancelNext DebugInfoDirectories Detach Disassemble
	DumpCancel DumpWait Eval ExamineMemory FindLocation FollowExecEnabled FunctionReturnLocations GetBreakpoint
	GetBufferedTracepoints GetThread GetVersion GuessSubstitutePath IsMulticlient LastModified ListBreakpoints
	ListCheckpoints ListDynamicLibraries ListFunctionArgs ListFunctions ListGoroutines ListLocalVars ListPackageVars
	ListPackagesBuildInfo ListRegisters ListSources ListTargets ListThreads ListTypes ProcessPid Recorded
	SetApiVersion Stacktrace State StopRecording TypeInfo`)

// readingCommands are those of the method Command that resume nothing.
var readingCommands = set("halt switchThread switchGoroutine")

func set(words string) map[string]bool {
	s := map[string]bool{}
	for _, w := range strings.Fields(words) {
		s[w] = true
	}
	return s
}

// filterRPC passes on JSON-RPC (package net/rpc/jsonrpc) requests that read.
func (c *client) filterRPC(in *bufio.Reader, out io.Writer) error {
	requests := json.NewDecoder(in)
	for {
		var raw json.RawMessage
		if err := requests.Decode(&raw); err != nil {
			return err
		}
		var request struct {
			Method string             `json:"method"`
			Params [1]json.RawMessage `json:"params"`
			ID     json.RawMessage    `json:"id"`
		}
		if err := json.Unmarshal(raw, &request); err != nil {
			return err
		}
		method := strings.TrimPrefix(request.Method, "RPCServer.")
		if c.reads(method, request.Params[0]) {
			if _, err := out.Write(append(raw, '\n')); err != nil {
				return err
			}
			continue
		}
		response := rpcResponse{ID: request.ID}
		if method == "GetEvents" {
			// Clients ask so beside a command that resumes, and wait for the end of that. Here it has ended.
			response.Result = rpc2.GetEventsOut{Events: []api.Event{{Kind: api.EventStopped}}}
		} else {
			text := c.copy.only()
			response.Error = &text
		}
		answer, err := json.Marshal(response)
		if err != nil {
			return err
		}
		if err := c.answer(append(answer, '\n')); err != nil {
			return err
		}
	}
}

// rpcResponse is a response of net/rpc/jsonrpc.
type rpcResponse struct {
	ID     json.RawMessage `json:"id"`
	Result any             `json:"result"`
	Error  *string         `json:"error"`
}

func (c *client) reads(method string, argument json.RawMessage) bool {
	if method != "Command" {
		return readingMethods[method]
	}
	var command struct {
		Name string `json:"name"`
	}
	return json.Unmarshal(argument, &command) == nil && readingCommands[command.Name]
}
