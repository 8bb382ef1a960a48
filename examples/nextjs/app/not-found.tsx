import Link from "next/link";

export default function NotFound() {
  return (
    <main className="alone">
      <section className="card narrow">
        <h1>There is no such page</h1>
        <p>
          <Link href="/">Go to the board</Link>
        </p>
      </section>
    </main>
  );
}
