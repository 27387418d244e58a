package referee

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/google/go-dap"
)

// readingRequests are the requests of DAP (microsoft.github.io/debug-adapter-protocol, 1.71) that only read, or concern
// the client.
var readingRequests = set(`initialize attach configurationDone disconnect terminate cancel threads stackTrace scopes
	variables
	evaluate pause exceptionInfo disassemble readMemory source loadedSources modules completions
	breakpointLocations dataBreakpointInfo setExceptionBreakpoints`)

// breakpointRequests set breakpoints. The answer lists, for each, whether that could be done.
var breakpointRequests = set("setBreakpoints setFunctionBreakpoints setInstructionBreakpoints setDataBreakpoints")

// callExpression is what Delve takes for a call of a function in the program (service/dap/server.go,
// onEvaluateRequest).
var callExpression = regexp.MustCompile(`^\s*call\s+\S+`)

// filterDAP passes on requests that read, and takes care that a client that attaches is not resumed.
func (c *client) filterDAP(in *bufio.Reader, out io.Writer) error {
	for {
		message, err := dap.ReadBaseMessage(in)
		if err != nil {
			return err
		}
		var request dap.Request
		var arguments struct {
			Arguments json.RawMessage `json:"arguments"`
		}
		err = errors.Join(json.Unmarshal(message, &request), json.Unmarshal(message, &arguments))
		if err != nil || request.Type != "request" {
			return errors.New("a message that isn't a request of DAP")
		}
		answer, forward := c.answerDAP(request, arguments.Arguments)
		if forward == nil {
			forward = message
		}
		if answer == nil {
			err = dap.WriteBaseMessage(out, forward)
		} else {
			var frame bytes.Buffer
			if err = dap.WriteProtocolMessage(&frame, answer); err == nil {
				err = c.answer(frame.Bytes())
			}
		}
		if err != nil {
			return err
		}
	}
}

// answerDAP answers what can't be done to a copy. If it doesn't, the request is passed on, or, if it isn't nil, what is
// in its place.
func (c *client) answerDAP(r dap.Request, arguments json.RawMessage) (answer dap.Message, instead []byte) {
	switch {
	case r.Command == "launch":
		return c.refuseDAP(r, c.copy.only()+"; nothing can be started here: attach to it (request: attach, mode: remote)"),
			nil
	case r.Command == "attach":
		var fields map[string]any
		if json.Unmarshal(arguments, &fields) != nil || fields["mode"] != "remote" {
			return c.refuseDAP(r, c.copy.only()+"; nothing else can be attached to here (mode: remote)"), nil
		}
		// Otherwise Delve would resume it when the client is done with its breakpoints.
		fields["stopOnEntry"] = true
		message := map[string]any{"seq": r.Seq, "type": "request", "command": "attach", "arguments": fields}
		attach, err := json.Marshal(message)
		if err != nil {
			return c.refuseDAP(r, err.Error()), nil
		}
		return nil, attach
	case breakpointRequests[r.Command]:
		return c.refuseBreakpoints(r, arguments), nil
	case r.Command == "evaluate":
		var expression struct {
			Expression string `json:"expression"`
		}
		if json.Unmarshal(arguments, &expression) == nil && callExpression.MatchString(expression.Expression) {
			return c.refuseDAP(r, c.copy.only()), nil
		}
	case !readingRequests[r.Command]:
		return c.refuseDAP(r, c.copy.only()), nil
	}
	return nil, nil
}

// responseTo begins a response.
func responseTo(r dap.Request) dap.Response {
	return dap.Response{ProtocolMessage: dap.ProtocolMessage{Type: "response"}, Command: r.Command, RequestSeq: r.Seq}
}

func (c *client) refuseDAP(r dap.Request, why string) dap.Message {
	response := &dap.ErrorResponse{Response: responseTo(r)}
	response.Message = why
	response.Body.Error = &dap.ErrorMessage{Format: "{why}", Variables: map[string]string{"why": why}, ShowUser: true}
	return response
}

func (c *client) refuseBreakpoints(r dap.Request, arguments json.RawMessage) dap.Message {
	var wanted struct {
		Breakpoints []json.RawMessage `json:"breakpoints"`
		Lines       []int             `json:"lines"` // what Breakpoints replaced
	}
	_ = json.Unmarshal(arguments, &wanted)
	n := max(len(wanted.Breakpoints), len(wanted.Lines))
	response := &dap.SetBreakpointsResponse{Response: responseTo(r)}
	response.Success = true
	response.Body.Breakpoints = make([]dap.Breakpoint, n)
	for i := range response.Body.Breakpoints {
		response.Body.Breakpoints[i].Message = c.copy.only()
	}
	return response
}

// wholeFrame is how long the first frame is, 0 if it isn't whole. Only Delve's are asked for.
func wholeFrame(b []byte) int {
	const end = "\r\n\r\n"
	head := bytes.Index(b, []byte(end))
	if head < 0 {
		return 0
	}
	var n int
	if _, err := fmt.Sscanf(string(b[:head]), "Content-Length: %d", &n); err != nil {
		return len(b)
	}
	if n += head + len(end); n > len(b) {
		return 0
	}
	return n
}
