package main

func seed([]string) error { return nil }
