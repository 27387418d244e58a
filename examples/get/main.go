// Get prints what a URL answers: what the demonstration asks the example service with, where there may be no curl.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	post := flag.Bool("post", false, "POST instead of GET")
	flag.Parse()
	if err := get(flag.Arg(0), *post); err != nil {
		fmt.Fprintln(os.Stderr, "get:", err)
		os.Exit(1)
	}
}

func get(url string, post bool) error {
	method := http.MethodGet
	if post {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	return nil
}
