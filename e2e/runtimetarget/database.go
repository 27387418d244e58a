package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// fake is a driver without a database.
type fake struct{}

func (fake) Open(string) (driver.Conn, error)             { return conn{}, nil }
func (fake) Connect(context.Context) (driver.Conn, error) { return conn{}, nil }
func (f fake) Driver() driver.Driver                      { return f }

type conn struct{}

func (conn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("there is no database") }
func (conn) Close() error                        { return nil }
func (conn) Begin() (driver.Tx, error)           { return tx{}, nil }

type tx struct{}

func (tx) Commit() error   { return nil }
func (tx) Rollback() error { return nil }

func openDatabase() *sql.DB {
	db := sql.OpenDB(fake{})
	db.SetMaxOpenConns(3)
	db.SetMaxIdleConns(2)
	db.SetConnMaxLifetime(time.Hour)
	return db
}

// useDatabase takes all connections and has two more goroutines wait for one.
func useDatabase() {
	for i := 0; i < 3; i++ {
		_, err := db.Begin()
		must(err)
	}
	for i := 0; i < 2; i++ {
		go waitsForConnection()
	}
	for db.Stats().WaitCount < 2 {
		time.Sleep(time.Millisecond)
	}
}

func waitsForConnection() {
	_, err := db.Begin()
	must(err)
}
