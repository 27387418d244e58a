package kit

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

type opcode byte

// TestDecodeContext: a context ends when it did by its deadline, or has ended already.
func TestDecodeContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const background = `{"$type":"context.backgroundCtx","value":{"emptyCtx":{}}}`
		deadline := time.Now().Add(time.Hour)
		for _, c := range []struct {
			text  string
			ended error
			after bool
		}{
			{text: background},
			{text: fmt.Sprintf(`{"$type":"*context.cancelCtx","value":{"Context":%s,"err":{"$type":"*errors.errorString"}}}`,
				background), ended: context.Canceled},
			{text: fmt.Sprintf(`{"$type":"*context.timerCtx","value":{"cancelCtx":{"Context":%s,"err":null},`+
				`"deadline":{"$time":%q}}}`, background, deadline.Format(time.RFC3339Nano)), after: true},
			{text: fmt.Sprintf(`{"$type":"*context.valueCtx","value":{"Context":%s,"key":{"$type":"main.key"},"val":null}}`,
				background)},
		} {
			var got context.Context
			r := (&riRecording{}).replay(t, nil)
			r.types = &riTypes{}
			d := r.decoder()
			if err := d.into(reflect.ValueOf(&got).Elem(), []byte(c.text), "values[0]"); err != nil || len(d.absent) > 0 {
				t.Fatalf("%s: %v, absent %q", c.text, err, d.absent)
			}
			if err := got.Err(); err != c.ended {
				t.Errorf("%s: it ended with %v", c.text, err)
			}
			if when, ok := got.Deadline(); ok != c.after || ok && !when.Equal(deadline) {
				t.Errorf("%s: its deadline is %v", c.text, when)
			}
			for _, end := range d.cancels {
				end()
			}
		}
	})
}

// TestNamedBytes: a library's bytes may have a type of their own, as github.com/expr-lang/expr's opcodes do; and an
// argument that is an interface is compared with its type.
func TestNamedBytes(t *testing.T) {
	r := (&riRecording{}).replay(t, nil)
	r.types = &riTypes{}
	var program struct {
		Code []opcode
		Two  [2]opcode
	}
	text := `{"Code":{"$bytes":"AQID"},"Two":{"$bytes":"BAU="}}`
	if err := r.decoder().into(reflect.ValueOf(&program).Elem(), []byte(text), "values[0]"); err != nil {
		t.Fatal(err)
	}
	c := riCompare{replay: r}
	if why := c.differs(reflect.ValueOf(program), []byte(text), "result 0"); why != "" || program.Two[1] != 5 {
		t.Errorf("%v: %s", program, why)
	}
	program.Code[1] = 7
	if why := c.differs(reflect.ValueOf(program), []byte(text), "result 0"); why == "" {
		t.Error("other bytes are no difference")
	}
	held := []byte(`{"$type":"string","value":{"$token":"abc"}}`)
	if why := c.differs(reflect.ValueOf(any("abc")), held, "argument 0"); why != "" {
		t.Error(why)
	}
	if why := c.differs(reflect.ValueOf(any(5)), held, "argument 0"); why == "" {
		t.Error("another type is no difference")
	}
}
