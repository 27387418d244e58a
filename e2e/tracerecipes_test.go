package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// TestTraceRecipes compares the rows of recipes that trace with what a program says that it did.
func TestTraceRecipes(t *testing.T) {
	for _, v := range testprogram.Variants {
		if v.Full && testing.Short() || !slices.Contains([]string{"default", "go1.22", "go1.27"}, v.Name) {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			traceRecipes(t, exec.Command(testprogram.Build(t, "testdata/serving", v)), servingRecipes)
		})
	}
}

// TestTraceGRPC is TestTraceRecipes of a program with gRPC.
func TestTraceGRPC(t *testing.T) {
	traceRecipes(t, exec.Command(buildProgram(t, "grpc", "grpc")), []traceRecipe{
		{[]string{"grpc-calls"}, "go", func(row map[string]any) string {
			message, _ := row["message"].(string)
			return fmt.Sprint(row["side"], " ", row["method"], " ", row["code"], " ", message)
		}}})
}

// traceRecipes compares the rows of recipes with what a program says that it did.
func traceRecipes(t *testing.T, cmd *exec.Cmd, recipes []traceRecipe) {
	t.Helper()
	in, out := testprogram.Ready(t, cmd)
	do := func(what string) (did []string) {
		fmt.Fprintln(in, what)
		line, err := out.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &did)
		}
		if err != nil {
			t.Fatal(err)
		}
		return did
	}
	for _, one := range recipes {
		// What it does once it will do again: so many rows are waited for.
		args := append([]string{"run"}, one.recipe...)
		args = append(args, "-p", strconv.Itoa(cmd.Process.Pid), fmt.Sprintf("limit=%d", len(do(one.do))))
		var did, found []string
		rows, said := whileTraced(t, args, func(*exec.Cmd) { did = do(one.do) })
		for _, row := range rows {
			found = append(found, one.line(row))
			if took, ok := row["duration"].(float64); !ok || took <= 0 {
				t.Errorf("%s: a duration of %v: %v", one.do, row["duration"], row)
			}
		}
		slices.Sort(did)
		slices.Sort(found)
		if len(did) == 0 || !slices.Equal(found, did) {
			t.Errorf("%v:\n%s\nthe program says:\n%s\n%s", one.recipe, strings.Join(found, "\n"),
				strings.Join(did, "\n"), said)
		}
	}
}

// traceRecipe is a recipe, what a program does meanwhile, and a row as the program says it.
type traceRecipe struct {
	recipe []string
	do     string
	line   func(map[string]any) string
}

var servingRecipes = []traceRecipe{
	{[]string{"http-requests"}, "http", func(row map[string]any) string {
		return fmt.Sprint(row["proto"], " ", row["method"], " ", row["path"], " ", row["status"], " ", bytesOf(row["bytes"]))
	}},
	{[]string{"sql-queries"}, "sql", func(row map[string]any) string {
		return fmt.Sprint(row["kind"], " ", row["statement"], " ", row["values"], " ", row["error"] != nil)
	}},
	{[]string{"tls-handshakes"}, "tls", func(row map[string]any) string {
		protocol, _ := row["protocol"].(string)
		return fmt.Sprint(row["side"], " ", row["name"], " ", row["version"], " ", protocol, " ", row["error"] != nil)
	}},
	{[]string{"lock-waits", "over=10ms"}, "lock", func(row map[string]any) string {
		by, _, _ := strings.Cut(fmt.Sprint(row["by"]), " ")
		lock, _ := row["lock"].(map[string]any)
		return fmt.Sprint(row["kind"], " ", lock["$addr"], " ", by)
	}},
	{[]string{"http-client"}, "client", func(row map[string]any) string {
		return fmt.Sprint(row["method"], " ", row["host"], " ", row["path"], " ", row["status"], " ", row["error"] != nil)
	}},
	{[]string{"dns-lookups"}, "dns", func(row map[string]any) string {
		return fmt.Sprint(row["network"], " ", row["host"], " ", row["addresses"], " ", row["error"] != nil)
	}},
	{[]string{"errors", "func=main.find"}, "errors", callLine},
}

// callLine wants arguments and results in their order, and the error's text.
func callLine(row map[string]any) string {
	args, results := fmt.Sprint(row["args"]), fmt.Sprint(row["results"])
	if results == fmt.Sprintf("found=%s err=nil", strings.Fields(strings.TrimPrefix(args, "tenant="))[0]) {
		return args + " failed=false"
	}
	var id int
	fmt.Sscanf(args[strings.Index(args, " id="):], " id=%d", &id)
	failed := fmt.Sprintf(`found="" err=&fmt.wrapError{msg: "finding %d: file does not exist", `, id)
	if strings.HasPrefix(results, failed) {
		return args + " failed=true"
	}
	return args + " " + results
}

// bytesOf is a number of bytes in full.
func bytesOf(v any) string {
	n, _ := v.(float64)
	return strconv.FormatInt(int64(n), 10)
}
