// Postgres is a server that keeps what it is told in PostgreSQL, over a pool of connections. DATABASE_URL says where
// that is; SIGTERM ends it.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	pool, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err == nil {
		_, err = pool.Exec(context.Background(), "create table orders(id serial primary key, name text, "+
			"at timestamptz default now())")
	}
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/add", func(w http.ResponseWriter, r *http.Request) {
		var id int
		var at string
		err := pool.QueryRow(r.Context(), "insert into orders(name) values($1) returning id, at::text",
			r.FormValue("name")).Scan(&id, &at)
		fmt.Fprintln(w, id, at, err)
	})
	http.HandleFunc("/list", func(w http.ResponseWriter, r *http.Request) {
		rows, err := pool.Query(r.Context(), "select id, name from orders order by id")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var id int
			var name string
			if err := rows.Scan(&id, &name); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			fmt.Fprintln(w, id, name)
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go http.Serve(ln, nil)
	fmt.Println("listening at", ln.Addr())
	<-end
	pool.Close()
}
